"""Bytes to shape: content coding, media type, JSON, text.

Everything here comes from outside and may be anything; nothing raises.
"""

import re
from collections.abc import Iterable

import msgspec

from gateway.bodies import decoded
from gateway.errors.body import MESSAGE_LIMIT
from gateway.errors.shapes import Found, recognise

DECODED_CAP = 256 * 1024
"""Most bytes that a compressed body may decode to."""

_BOM = b"\xef\xbb\xbf"
_JSON = re.compile(rb"(?:application|text)/(?:[a-z0-9.!#$&^_-]+\+)*json")
_PROBLEM = b"application/problem+json"
_MARKUP = re.compile(rb"<[a-z!/?]", re.IGNORECASE)
_HTML = frozenset({b"text/html", b"application/xhtml+xml"})
_PLAIN = frozenset({b"text/plain", b""})


def media_type(content_type: bytes) -> bytes:
    """The media type of a Content-Type value, lower case and without parameters."""
    return content_type.partition(b";")[0].strip().lower()


def is_json(media: bytes) -> bool:
    """Whether clients parse this media type as JSON."""
    return _JSON.fullmatch(media) is not None


def plain(body: bytes, codings: Iterable[bytes]) -> bytes | None:
    """The body without content coding and byte order mark; None where that cannot be had.

    `codings` are the values of Content-Encoding. Brotli and Zstandard are not decoded.
    """
    names = [name.strip().lower() for value in codings for name in value.split(b",")]
    names = [name for name in names if name not in {b"", b"identity"}]
    if names and body:
        inflated = decoded(body, names[0], DECODED_CAP) if len(names) == 1 else None
        if inflated is None:
            return None
        body = inflated
    return body.removeprefix(_BOM)


def understand(body: bytes, media: bytes) -> Found:
    """What an error body without coding says."""
    if not body.strip():
        return Found("empty")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Found("invalid-json") if is_json(media) else _text(body, media)
    if isinstance(document, dict):
        return recognise(document, problem=media == _PROBLEM)
    return Found("shape") if is_json(media) else _text(body, media)


def _text(body: bytes, media: bytes) -> Found:
    """Markup is never shown to the app; plain text is, where it is short and printable."""
    if media in _HTML or _MARKUP.search(body):
        return Found("html")
    if media not in _PLAIN:
        return Found("unreadable")
    try:
        text = " ".join(body.decode().split())
    except UnicodeDecodeError:
        return Found("unreadable")
    shown = text.isprintable() and len(body) <= MESSAGE_LIMIT
    return Found("text", message=text if shown else None)
