"""A third opinion on what some bytes are as an HTTP/1.1 response: RFC 9112's grammar, written down once more.

It shares nothing with the gateway or its engines. Where the standard lets a recipient repair, the reading
says that it was repaired: such a response may be relayed as read, or refused.
"""

import re
from dataclasses import dataclass, field

from tests.support.http1 import Pairs
from tests.support.reference_reader import FIELD, SIZE

_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])( [\t\x20-\x7e\x80-\xff]*)?\r\n")
_PADDED_SIZE = re.compile(rb"([0-9A-Fa-f]+)[\t ]*(?:;[^\n]*)?\r\n")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_BODILESS = frozenset({204, 304})
_MOST_LINES = 100
_ABOUT_A_SIZE = 16
"""Hexadecimal digits that fit into 64 bits."""


class NoResponse(Exception):
    """What the bytes are not: nothing of them may be relayed."""


@dataclass(slots=True)
class Reading:
    """A response whose head is whole."""

    status: int
    fields: Pairs
    """Names in lower case."""
    body: bytes = b""
    """What came of it."""
    whole: bool = False
    """Whether body and framing came to their end."""
    repaired: bool = False
    """Whether the standard lets a recipient refuse it as well."""
    until_close: bool = False
    """Whether the end of the connection is the end of the body."""
    rest: bytes = b""
    """What follows, and belongs to nobody."""

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a field."""
        return [value for key, value in self.fields if key == name]


@dataclass(slots=True)
class _Head:
    status: int
    old: bool
    fields: Pairs
    repaired: bool = False
    end: int = field(default=0)


def read_response(data: bytes, method: str) -> Reading:
    """The final response to a request of that method, closed after these bytes. Raises NoResponse."""
    at, repaired = 0, False
    while True:
        skipped = len(data[at:]) - len(data[at:].lstrip(b"\r\n"))
        head = _head(data[at + skipped :])
        at += skipped + head.end
        repaired = repaired or skipped > 0 or head.repaired
        if head.status >= 200 or head.status == 101:
            break
        # Nobody needs to look at the framing of an interim response, and somebody may.
        repaired = repaired or _framing(head) != []
    framing = _framing(head)
    if framing is None or head.status == 101 or len(head.fields) > _MOST_LINES:
        raise NoResponse
    reading = Reading(head.status, head.fields, repaired=repaired or len(framing) > 1)
    _read_body(reading, data[at:], framing, bodiless=method == "HEAD")
    return reading


def _head(data: bytes) -> _Head:
    end = _END.search(data)
    if end is None:
        raise NoResponse
    raw = data[: end.start()] + b"\r\n"
    lines = re.sub(rb"\r?\n", b"\r\n", raw)
    start = _STATUS_LINE.match(lines)
    if start is None:
        raise NoResponse
    fields, at = [], start.end()
    while match := FIELD.match(lines, at):
        fields.append((match[1].lower(), match[2].strip(b" \t")))
        at = match.end()
    if at != len(lines):
        raise NoResponse
    repaired = lines != raw or end[0] != b"\r\n\r\n" or start[3] is None
    return _Head(int(start[2]), start[1] == b"0", fields, repaired, end.end())


def _framing(head: _Head) -> list[bytes] | None:
    """What frames the body; more than one where they are the same; None where it is in doubt."""
    lengths = [value for name, value in head.fields if name == b"content-length"]
    codings = [value for name, value in head.fields if name == b"transfer-encoding"]
    if codings:
        good = len(codings) == 1 and codings[0].lower() == b"chunked" and not lengths and not head.old
        return [b"chunked"] if good else None
    if len(set(lengths)) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        return None
    return lengths


def _read_body(reading: Reading, data: bytes, framing: list[bytes], *, bodiless: bool) -> None:
    if bodiless or reading.status in _BODILESS:
        reading.whole, reading.rest = True, data
    elif not framing:
        reading.whole, reading.until_close, reading.body = True, True, data
    elif framing[0] == b"chunked":
        _read_chunks(reading, data)
    else:
        size = int(framing[0])
        reading.body, reading.rest = data[:size], data[size:]
        reading.whole = len(data) >= size


def _read_chunks(reading: Reading, data: bytes) -> None:
    at = 0
    while True:
        match = _PADDED_SIZE.match(data, at)
        if match is None:
            return
        strict = SIZE.match(data, at) is not None and len(match[1]) <= _ABOUT_A_SIZE
        reading.repaired = reading.repaired or not strict
        size, at = int(match[1], 16), match.end()
        if not size:
            _read_trailers(reading, data[at:])
            return
        reading.body += data[at : at + size]
        at += size
        if data[at : at + 2] != b"\r\n":
            return
        at += 2


def _read_trailers(reading: Reading, data: bytes) -> None:
    at = 0
    while match := FIELD.match(data, at):
        at = match.end()
    reading.whole = data[at : at + 2] == b"\r\n"
    reading.rest = data[at + 2 :]
    if not reading.whole and re.search(rb"^\r?\n|\n\r?\n", data):
        # Trailers end here and are not judged: an end that some reader may see is taken for one.
        reading.whole = reading.repaired = True
