"""What a rule looks at, and how it words a problem."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.config.origin import Origin, parse_url
from gateway.config.problem import KeyPath, Problem, dotted
from gateway.config.sections import Settings
from gateway.config.sources import Values


@dataclass(frozen=True, slots=True)
class Given:
    """The settings, each key valid by itself, and what surrounds them."""

    settings: Settings
    environ: Mapping[str, str]
    known_templates: frozenset[str]
    values: Values

    def problem(self, key: str, message: str) -> Problem:
        """A problem of the key with this dotted name."""
        return self.problem_at(tuple(key.split(".")), message)

    def problem_at(self, path: KeyPath, message: str) -> Problem:
        """A problem of the key at this path, which may hold names with dots."""
        return Problem(dotted(path), message, self.values.source(path))

    def fault(self, key: str, message: str | None) -> Iterator[Problem]:
        """A problem of the key where there is a message."""
        if message:
            yield self.problem(key, message)

    def variable(self, name: str) -> str | None:
        """A variable that is not ours; an empty one counts as unset."""
        return self.environ.get(name) or None


def url_fault(url: str, *, query: bool = False, fragment: bool = False, userinfo: bool = False) -> str | None:
    """Why this is not an absolute http or https URL, or None; the flags say what may be there too."""
    try:
        parse_url(url, query=query, fragment=fragment, userinfo=userinfo)
    except ValueError as error:
        return str(error)
    return None


def origin_fault(url: str) -> str | None:
    """Why this is not the origin of an http or https server, or None."""
    try:
        parse_url(url, path=False)
    except ValueError as error:
        return str(error)
    return None


def private_url_fault(url: str) -> str | None:
    """Why secrets cannot be sent to this URL, or None."""
    try:
        origin: Origin = parse_url(url, query=True)
    except ValueError as error:
        return str(error)
    return None if origin.is_private else "must be https, or http to loopback"
