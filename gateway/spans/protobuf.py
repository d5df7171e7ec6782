"""What OTLP's messages are made of: fields with their tags, left out where they hold nothing.

Source: the encoding guide of protobuf.dev, and common.proto of opentelemetry-proto 1.x.
"""

import struct
from collections.abc import Mapping
from typing import Any

_UNSIGNED = (1 << 64) - 1
_TIME = struct.Struct("<Q").pack
_FLOAT = struct.Struct("<d").pack


def time(tag: bytes, nanoseconds: int | None) -> bytes:
    """An instant since the epoch."""
    return tag + _TIME(nanoseconds) if nanoseconds else b""


def count(tag: bytes, number: int) -> bytes:
    """A number that is not negative."""
    return tag + varint(number) if number else b""


def text(tag: bytes, value: str | None) -> bytes:
    """A string; half a surrogate pair is shown as its escape."""
    return message(tag, value.encode("utf-8", "backslashreplace")) if value else b""


def attributes(tag: bytes, told: Mapping[str, Any] | None) -> list[bytes]:
    """A field for each; raises TypeError for a value that OTLP has no form of."""
    return [attribute(tag, key, value) for key, value in (told or {}).items()]


def attribute(tag: bytes, key: str, value: Any) -> bytes:
    """A `KeyValue`."""
    return message(tag, text(b"\x0a", key) + message(b"\x12", _any_value(value)))


def _any_value(value: Any) -> bytes:
    """An `AnyValue`; which one it holds is told even where it is zero or empty."""
    if isinstance(value, str):
        return message(b"\x0a", value.encode("utf-8", "backslashreplace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _UNSIGNED)
    if isinstance(value, float):
        return b"\x21" + _FLOAT(value)
    if isinstance(value, tuple):
        return message(b"\x2a", b"".join([message(b"\x0a", _any_value(each)) for each in value]))
    raise TypeError(f"OTLP has no value for a {type(value).__name__}")


def message(tag: bytes, content: bytes) -> bytes:
    """A field of a length of its own."""
    length = len(content)
    return tag + (_LENGTHS[length] if length < _USUAL else varint(length)) + content


def varint(number: int) -> bytes:
    """Seven bits to the byte, lowest first; all but the last have the eighth bit set."""
    if number < 1 << 7:
        return bytes((number,))
    return bytes((number & 0x7F | 0x80,)) + varint(number >> 7)


_USUAL = 1_024
"""Bytes of nearly every span, and of all that it is made of."""
_LENGTHS = [varint(length) for length in range(_USUAL)]
