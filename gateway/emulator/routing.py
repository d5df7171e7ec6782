"""Raw paths to operations. Segments are matched as they arrive and percent-decoded once, each by itself."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

from gateway.emulator.exchange import Answer, Call, ServiceError

Handler = Callable[[Call], Answer]


class Guard(Enum):
    """What a request must pass before its operation runs."""

    OPEN = "open"
    DATA = "token and api-version"
    JOBS = "token, api-version and rate"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation; in the template `{name}` is one segment, `{name*}` at the end is all that is left."""

    method: str
    template: str
    handler: Handler
    guard: Guard = Guard.DATA

    def pattern(self) -> re.Pattern[str]:
        """A regular expression for the raw paths of this operation."""
        parts = [
            f"(?P<{part.strip('{*}')}>{'.+' if '*' in part else '[^/]+'})"
            if part[:1] == "{"
            else re.escape(part)
            for part in self.template.split("/")
        ]
        return re.compile("/".join(parts))


class Router:
    """All operations of the emulator."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple((route, route.pattern()) for route in routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The operation and its decoded parameters; HEAD finds GET.

        Raises ServiceError 404 for an unknown path, 405 for a method it does not have, 400 for bad encoding.
        """
        wanted = "GET" if method == "HEAD" else method
        others: set[str] = set()
        for route, pattern in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if route.method == wanted:
                return route, {name: decoded(value) for name, value in match.groupdict().items()}
            others.add(route.method)
        if others:
            message = f"This resource does not support {method}."
            raise ServiceError(405, "MethodNotAllowed", message, [("Allow", ", ".join(sorted(others)))])
        raise ServiceError(404, "NotFound", "The emulator has no such path.")

    def label(self, method: str, path: str) -> str:
        """Method and template for counts, `unmatched` for what is no operation."""
        wanted = "GET" if method == "HEAD" else method
        for route, pattern in self._routes:
            if route.method == wanted and pattern.fullmatch(path):
                return f"{method} {route.template}"
        return "unmatched"


def decoded(segment: str) -> str:
    """The segment percent-decoded once. Raises ServiceError 400 when that is not UTF-8."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError as error:
        raise ServiceError(400, "InvalidArgument", "A path segment is not percent-encoded UTF-8.") from error
