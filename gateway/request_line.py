"""A request's first line, taken apart and judged (RFC 9112, section 3).

Apps ask for the same again and again: a look into what was read before takes a tenth of reading.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from gateway.field_lines import invalid

_LINE = re.compile(rb"([A-Z][A-Z0-9_-]{0,31}) ([\x21-\x7e]+) HTTP/1\.([01])")
_OTHER_VERSION = re.compile(rb"[A-Z][A-Z0-9_-]{0,31} [\x21-\x7e]+ HTTP/[0-9](?:\.[0-9])?")
_REMEMBERED = 1_024
"""Lines that are kept with what they say."""
_SHORT = 256
"""Bytes of one that is kept."""


class RequestLine(NamedTuple):
    """What a request's first line says."""

    method: str
    target: bytes
    version: str
    """`1.0` or `1.1`."""
    raw_path: bytes
    """The target without its query, as it came."""
    query: bytes
    path: str
    """The path, percent-decoded, as ASGI has it."""
    in_origin_form: bool
    """Whether it asks for a path with one reading: behind two slashes, or for CONNECT, it is an authority."""


UNREAD = RequestLine("_OTHER", b"", "1.1", b"/", b"", "/", in_origin_form=False)
"""What is known before it was read; the method is that of semantic conventions."""


def read_line(line: bytes) -> RequestLine:
    """The line without its CR LF, taken apart. Raises RequestInvalid."""
    return _kept(line) if len(line) <= _SHORT else _read(line)


def _read(line: bytes) -> RequestLine:
    match = _LINE.fullmatch(line)
    if match is None:
        known = "only HTTP/1.0 and HTTP/1.1 are spoken here"
        raise invalid(known if _OTHER_VERSION.fullmatch(line) else "its first line is malformed")
    method, target, minor = match.groups()
    raw_path, _, query = target.partition(b"?")
    return RequestLine(
        method.decode("ascii"),
        target,
        "1.1" if minor == b"1" else "1.0",
        raw_path,
        query,
        unquote(raw_path.decode("ascii")),
        in_origin_form=raw_path[:1] == b"/" and raw_path[:2] != b"//" and method != b"CONNECT",
    )


_kept = lru_cache(_REMEMBERED)(_read)
