"""A third opinion on what some bytes are as HTTP/1.1 requests: RFC 9112's grammar, written down once more.

It shares nothing with the gateway's reader or the engines: whole bytes in, regular expressions taken from the
collected grammar, no state, no speed. Where the standard lets a recipient repair, it does not.
"""

import re
from dataclasses import dataclass
from enum import Enum

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_START = re.compile(rb"(?:\r\n){0,2}(%b+) ([\x21-\x7e]+) HTTP/1\.([01])\r\n" % _TCHAR)
FIELD = re.compile(rb"(%b+):(%b)\r\n" % (_TCHAR, _VALUE))
_BWS = rb"[\t ]*"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION = rb"%b;%b%b+(?:%b=%b(?:%b+|%b))?" % (_BWS, _BWS, _TCHAR, _BWS, _BWS, _TCHAR, _QUOTED)
SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:%b)*\r\n" % _EXTENSION)


class Ending(Enum):
    """Why the reading stopped."""

    DONE = "nothing is left"
    LAST = "the connection carries no further request"
    PARTIAL = "more could come"
    BAD = "what follows is no request"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as read."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    """Names in lower case."""
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a field."""
        return [value for key, value in self.fields if key == name]


class _Stop(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


def read_all(data: bytes) -> tuple[list[Request], Ending]:
    """Every request that is whole, in order, and why there are no more."""
    out: list[Request] = []
    at = 0
    while data[at:] not in {b"", b"\r\n", b"\r\n\r\n"}:
        try:
            request, old, at = _read(data, at)
        except _Stop as stop:
            return out, stop.ending
        out.append(request)
        options = b",".join(request.values(b"connection")).lower().split(b",")
        tunnel = [value.lower() for value in request.values(b"upgrade")] not in ([], [b"h2c"])
        if old or tunnel or b"close" in {option.strip(b" \t") for option in options}:
            return out, Ending.LAST
    return out, Ending.DONE


def _read(data: bytes, at: int) -> tuple[Request, bool, int]:
    start = _START.match(data, at)
    if start is None:
        line = data[at:].removeprefix(b"\r\n").removeprefix(b"\r\n")
        raise _Stop(Ending.BAD if b"\r\n" in line else Ending.PARTIAL)
    fields, at = _fields(data, start.end())
    method, target, minor = start.groups()
    body, at = _body(data, at, fields, old=minor == b"0")
    return Request(method, target, fields, body), minor == b"0", at


def _fields(data: bytes, at: int) -> tuple[list[tuple[bytes, bytes]], int]:
    fields = []
    while match := FIELD.match(data, at):
        fields.append((match[1].lower(), match[2].strip(b" \t")))
        at = match.end()
    if data[at : at + 2] == b"\r\n":
        return fields, at + 2
    raise _Stop(Ending.BAD if b"\r\n" in data[at:] else Ending.PARTIAL)


def _body(data: bytes, at: int, fields: list[tuple[bytes, bytes]], *, old: bool) -> tuple[bytes, int]:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise _Stop(Ending.BAD)
    if codings:
        if old or codings[0].lower() != b"chunked":
            raise _Stop(Ending.BAD)
        return _chunks(data, at)
    if not lengths:
        return b"", at
    if not re.fullmatch(rb"[0-9]+", lengths[0]):
        raise _Stop(Ending.BAD)
    end = at + int(lengths[0])
    if end > len(data):
        raise _Stop(Ending.PARTIAL)
    return data[at:end], end


def _chunks(data: bytes, at: int) -> tuple[bytes, int]:
    body = b""
    while True:
        match = SIZE.match(data, at)
        if match is None:
            raise _Stop(Ending.BAD if b"\n" in data[at:] else Ending.PARTIAL)
        size, at = int(match[1], 16), match.end()
        if not size:
            return body, _fields(data, at)[1]
        piece, end = data[at : at + size], data[at + size : at + size + 2]
        if not b"\r\n".startswith(end):
            raise _Stop(Ending.BAD)
        if end != b"\r\n":
            raise _Stop(Ending.PARTIAL)
        body += piece
        at += size + 2
