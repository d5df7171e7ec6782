"""Reading a bounded part of a body: all of it, or what was read and the rest to follow.

Only bodies the gateway has a use for are read: errors, pages with links, jobs. Everything else streams
through.
"""

import zlib
from collections.abc import AsyncIterator
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
    rest: Readable | None
    """None when `start` is all of it."""

    @property
    def whole(self) -> bytes | None:
        """The body, where it was read to its end; else None."""
        return self.start if self.rest is None else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """Everything in order: what was read, then the rest as it comes."""
        if self.start:
            yield self.start
        if self.rest is not None:
            while (piece := await self.rest.read()) is not None:
                yield piece


async def read_up_to(source: Readable, cap: int) -> Body:
    """Read `source` to its end, or until more than `cap` bytes have come."""
    pieces: list[bytes] = []
    size = 0
    while size <= cap:
        piece = await source.read()
        if piece is None:
            return Body(b"".join(pieces), None)
        pieces.append(piece)
        size += len(piece)
    return Body(b"".join(pieces), source)


@dataclass(slots=True)
class Copy:
    """A bounded copy of a body that passes; None in `whole` once it has outgrown `cap`."""

    cap: int
    _pieces: list[bytes] = field(default_factory=list)
    _size: int = 0

    def add(self, piece: bytes) -> None:
        """Take note of a piece that passes."""
        self._size += len(piece)
        if self._size <= self.cap:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    @property
    def whole(self) -> bytes | None:
        """The body so far, or None where it is larger than the cap."""
        return b"".join(self._pieces) if self._size <= self.cap else None


def decoded(body: bytes, coding: bytes | None, cap: int) -> bytes | None:
    """The body without its content coding; None where it is unknown, broken, or larger than `cap` decoded."""
    name = (coding or b"identity").strip().lower()
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


async def once(body: bytes) -> AsyncIterator[bytes]:
    """A body that is at hand, as a stream of one piece."""
    yield body
