"""Loads a configuration from text, and gives what is wrong with it as lines without the test's own paths."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.config import ConfigurationError, Settings, load

BASE = 'upstream.base_url = "https://example.api.weu.digitaltwins.azure.net"\n'


def settings(
    folder: Path,
    text: str = "",
    environ: Mapping[str, str] | None = None,
    templates: frozenset[str] = frozenset(),
) -> Settings:
    """Settings of this text, after a line with the one required key unless the text has it."""
    path = folder / "config.toml"
    path.write_text(text if "upstream.base_url" in text or "[upstream]" in text else BASE + text)
    return load(path, environ or {}, templates)


def problems(
    folder: Path,
    text: str = "",
    environ: Mapping[str, str] | None = None,
    templates: frozenset[str] = frozenset(),
) -> list[str]:
    """The lines of the problems; none where the configuration is right."""
    try:
        settings(folder, text, environ, templates)
    except ConfigurationError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def leaves(table: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Dotted names and values of nested tables; an empty table is a leaf."""
    if isinstance(table, dict) and table:
        for name, below in table.items():
            yield from leaves(below, (*path, name))
    else:
        yield ".".join(path), table
