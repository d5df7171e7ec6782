"""Reading a bounded part of a body: all of it, or what was read and the rest to follow.

Only bodies the gateway has a use for are read: errors, pages with links, jobs. Everything else streams
through.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
"""wbits that let zlib detect gzip and zlib framing."""


class Readable(Protocol):
    """A body that is read piece by piece."""

    async def read(self) -> bytes | None:
        """The next piece; None at the end."""


@dataclass(slots=True)
class Body:
    """What was read of a body so far, and where the rest comes from."""

    start: bytes
    rest: Readable | None = None
    """None when `start` is all of it."""
    _start_given: bool = field(default=False, init=False)

    @property
    def whole(self) -> bytes | None:
        """The body, where it was read to its end; else None."""
        return self.start if self.rest is None else None

    def take(self) -> bytes | None:
        """The body, where it was read to its end and nobody has taken it."""
        if self.rest is not None or self._start_given:
            return None
        self._start_given = True
        return self.start

    async def read(self) -> bytes | None:
        """The next piece: what was read already, if anything, then the rest as it comes; None at the end."""
        if not self._start_given:
            self._start_given = True
            if self.start:
                return self.start
        return None if self.rest is None else await self.rest.read()


async def read_up_to(source: Readable, cap: int) -> Body:
    """Read `source` to its end, or until more than `cap` bytes have come."""
    pieces: list[bytes] = []
    size = 0
    while size <= cap:
        piece = await source.read()
        if piece is None:
            return Body(b"".join(pieces))
        pieces.append(piece)
        size += len(piece)
    return Body(b"".join(pieces), source)


class Copied:
    """A body that passes; who asked for a copy gets it once the last piece has come."""

    __slots__ = ("_body", "_cap", "_length", "_pieces", "_size", "_take")

    def __init__(
        self, body: Readable, cap: int, length: int | None, take: Callable[[bytes | None], None]
    ) -> None:
        """`take` gets None where there are more than `cap` bytes.

        The last piece is known by the `length` that is announced, and by the end only where none is.
        """
        self._body = body
        self._cap = cap
        self._length = length
        self._take = take
        self._pieces: list[bytes] = []
        self._size = 0

    async def read(self) -> bytes | None:
        """The next piece; None at the end."""
        piece = await self._body.read()
        if piece is not None:
            size = self._size = self._size + len(piece)
            if size <= self._cap:
                self._pieces.append(piece)
            else:
                self._pieces.clear()
            if size != self._length:
                return piece
        self._take(b"".join(self._pieces) if self._size <= self._cap else None)
        return piece


def decoded(body: bytes, coding: bytes | None, cap: int) -> bytes | None:
    """The body without its content coding; None where it is unknown, broken, or larger than `cap` decoded."""
    if coding is None:
        return body
    name = coding.strip().lower()
    if name in {b"identity", b""}:
        return body
    if name not in {b"gzip", b"x-gzip", b"deflate"}:
        return None
    inflate = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        out = inflate.decompress(body, cap + 1)
    except zlib.error:
        return None
    # What follows the end (gzip may have several members) would be lost.
    return out if inflate.eof and not inflate.unused_data and len(out) <= cap else None
