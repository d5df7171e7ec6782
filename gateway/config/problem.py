"""What is wrong with a configuration, one line per mistake."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT = "default"
"""The source of a key that neither the file nor the environment sets."""

KeyPath = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: KeyPath) -> str:
    """The path as TOML writes it: parts that are not bare keys in quotes."""
    return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in path)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake; its text never holds a configured value, so that no secret can leak through it."""

    key: str
    """`auth.oauth2.token_url`; empty where no key of ours is at fault (a file, an OTEL_* variable)."""
    message: str
    """What is wrong and what is allowed."""
    source: str
    """Path of the file, name of the environment variable, or `default`."""

    def __str__(self) -> str:
        if not self.key:
            line = f"{self.source}: {self.message}"
        elif self.source == DEFAULT:
            line = f"{self.key}: {self.message}"
        else:
            line = f"{self.key}: {self.message} ({self.source})"
        return "".join(_printable(character) for character in line)


class ConfigurationError(Exception):
    """The configuration cannot be used; `problems` has every mistake that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
