"""A request and an answer as values; the error every operation raises; JSON and pages."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

if TYPE_CHECKING:
    from gateway.emulator.state import State

JSON_TYPE: Final = "application/json; charset=utf-8"
MAX_DIGITS: Final = 9


@dataclass(slots=True)
class Answer:
    """A whole response; header names and values are Latin-1 text, in order, duplicates allowed."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class ServiceError(Exception):
    """An error answer of the service: `ErrorResponse` body and `x-ms-error-code` header (REST reference)."""

    def __init__(self, status: int, code: str, message: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = list(headers)

    def answer(self) -> Answer:
        """The error as it goes over the wire."""
        body = {"error": {"code": self.code, "message": self.message}}
        return json_answer(self.status, body, [("x-ms-error-code", self.code), *self.headers])


def json_answer(status: int, body: object, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, [("Content-Type", JSON_TYPE), *headers], msgspec.json.encode(body))


@dataclass(frozen=True, slots=True)
class Call:
    """One request as an operation sees it: `path` is the raw path, `parameters` its decoded segments."""

    state: "State"
    method: str
    path: str
    query_string: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    base_url: str
    parameters: dict[str, str]

    def header(self, name: str) -> str | None:
        """The first value of a header, None without it."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def query(self, name: str) -> str | None:
        """The first value of a query parameter, None without it."""
        return next((value for key, value in self.pairs() if key == name), None)

    def pairs(self) -> list[tuple[str, str]]:
        """The query, decoded, in order."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    def json(self, code: str = "ValidationFailed") -> Any:
        """The body. Raises ServiceError 400 with `code` when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ServiceError(400, code, f"The request body is not valid JSON: {error}.") from error

    def json_object(self, code: str = "ValidationFailed") -> dict[str, Any]:
        """The body as an object. Raises ServiceError 400 with `code` when it is something else."""
        body = self.json(code)
        if not isinstance(body, dict):
            raise ServiceError(400, code, "The request body must be a JSON object.")
        return body


def whole_number(text: str) -> int | None:
    """The value of a short run of digits, None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


def page_position(call: Call, token: str | None) -> tuple[int, int]:
    """Offset and size of the page asked for; the token has both: a client follows links without headers.

    Raises ServiceError 400 for a token that was not made here, or a `max-items-per-page` that is no count.
    """
    if token is not None:
        try:
            position = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[int, int])
        except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise ServiceError(400, "BadRequest", "The continuation token is invalid.") from error
        if position[0] < 0 or position[1] < 1:
            raise ServiceError(400, "BadRequest", "The continuation token is invalid.")
        return position
    wanted = call.header("max-items-per-page")
    if wanted is None:
        return 0, call.state.settings.page_size
    size = whole_number(wanted)
    if not size:
        raise ServiceError(400, "InvalidArgument", "max-items-per-page must be a whole number above 0.")
    return 0, size


def continuation(offset: int, size: int) -> str:
    """The token of the page that starts at `offset`."""
    return base64.urlsafe_b64encode(msgspec.json.encode((offset, size))).decode()


def page_answer(call: Call, items: Sequence[object]) -> Answer:
    """One page of a collection: `value` and, unless it is the last, an absolute `nextLink`."""
    offset, size = page_position(call, call.query("continuationToken"))
    body: dict[str, object] = {"value": items[offset : offset + size]}
    if offset + size < len(items):
        kept = [pair for pair in call.pairs() if pair[0] != "continuationToken"]
        query = urlencode([("continuationToken", continuation(offset + size, size)), *kept])
        body["nextLink"] = f"{call.base_url}{call.path}?{query}"
    return json_answer(200, body)
