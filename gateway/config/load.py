"""The verb of the room: file and environment in, valid `Settings` out, or every problem at once."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config.keys import CATALOGUE, allowed
from gateway.config.problem import ConfigurationError, KeyPath, Problem, dotted
from gateway.config.rules import Given, check
from gateway.config.sections import Settings
from gateway.config.sources import Tree, Values, read_environment, read_file

_PLACEHOLDER = {"base_url": "https://unset.invalid"}


def load(
    path: Path | None, environ: Mapping[str, str], known_templates: frozenset[str] = frozenset()
) -> Settings:
    """The settings of this file (None: no file), with the environment over it.

    `known_templates` are the route templates that `routes.deny` may name; empty means that they are not
    checked. Raises ConfigurationError with every problem of the file, the variables, each key and all rules.
    """
    environment = read_environment(environ)
    try:
        file_tree = read_file(path) if path else {}
    except ConfigurationError as error:
        # What the file would have set is unknown, so nothing is said to be missing, and no rule is run.
        values = Values(str(path), {"upstream": _PLACEHOLDER}, environment)
        _, problems = _validate(values)
        raise ConfigurationError([*error.problems, *problems]) from None
    values = Values(str(path or "environment"), file_tree, environment)
    settings, problems = _validate(values)
    given = Given(settings, environ, known_templates, values)
    problems += check(given, [problem.key for problem in problems])
    if problems:
        raise ConfigurationError(problems)
    return settings


def _validate(values: Values) -> tuple[Settings, list[Problem]]:
    """The settings and what is wrong; wrong keys have their default, so that the rules can still run."""
    tree: Tree = {"upstream": {}} | values.merged()
    problems = list(values.environment.problems)
    try:
        return _settings(tree), problems
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    reported = {problem.key for problem in problems}
    for detail in details:
        path, position = _split(detail["loc"])
        if not path:
            raise ConfigurationError([*problems, Problem("", "is nested too deeply", values.file)])
        message = _message(path, detail["type"], position)
        if dotted(path) not in reported:
            problems.append(Problem(dotted(path), message, values.source(path)))
        _prune(tree, path)
    tree["upstream"] = _PLACEHOLDER | tree.get("upstream", {})
    return _settings(tree), problems


def _settings(tree: Tree) -> Settings:
    # As JSON, because only there pydantic's strict mode takes text for a path and a list for a tuple.
    return Settings.model_validate_json(json.dumps(tree, default=_never_valid), strict=True)


def _never_valid(_value: object) -> list[Any]:
    """Stands for TOML's dates and times, which no key takes."""
    return [[]]


def _split(location: tuple[int | str, ...]) -> tuple[KeyPath, int | None]:
    """The key's path, and the position in its list if the fault lies in one item."""
    path = tuple(part for part in location if isinstance(part, str))
    positions = [part for part in location if isinstance(part, int)]
    return path, positions[0] if positions else None


def _message(path: KeyPath, kind: str, position: int | None) -> str:
    if kind == "extra_forbidden":
        return _unknown(path)
    key = CATALOGUE.holder(path)
    if key is None:
        return "must be a table"
    if kind == "missing":
        return f"is required; set it in the file or as {key.variable}"
    if position is not None:
        return f"item {position + 1} must be {allowed(key.item)}"
    return f"must be {allowed(key.schema if path == key.path else key.item)}"


def _unknown(path: KeyPath) -> str:
    if near := CATALOGUE.nearest(path):
        return f"is not a known key; did you mean {near}?"
    return f"is not a known key; known here: {', '.join(_siblings(path))}"


def _siblings(path: KeyPath) -> Iterator[str]:
    for known in (*CATALOGUE.sections, *CATALOGUE.keys):
        if known[:-1] == path[:-1]:
            yield known[-1]


def _prune(tree: Tree, path: KeyPath) -> None:
    for part in path[:-1]:
        tree = tree.get(part, {})
    tree.pop(path[-1], None)
