"""A minimal HTTP/1.1 reader for tests: it judges nothing and keeps every byte as it came."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

Pairs = list[tuple[bytes, bytes]]
"""Header lines in order, names in their original spelling, duplicates kept."""

PIECE = 65_536
LIMIT = 1_572_864
"""Largest head that a test reads, in bytes; twice as much of a body is buffered at most."""


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """The start line and headers with their blank line; what came of them, where the peer closed before."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return error.partial


async def upto(reader: asyncio.StreamReader, size: int) -> bytes:
    """That many bytes, or what came of them where the peer closed before."""
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        return error.partial


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection (RST)."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def parse_head(head: bytes) -> tuple[bytes, Pairs]:
    """The start line and the header pairs."""
    start, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    cut = [line.partition(b":") for line in lines]
    return start, [(name, value.strip(b" \t")) for name, _, value in cut]


def values(pairs: Pairs, name: bytes) -> list[bytes]:
    """Every value of a header, whatever its spelling."""
    return [value for key, value in pairs if key.lower() == name.lower()]


def is_chunked(pairs: Pairs) -> bool:
    """Whether the last transfer coding is chunked."""
    codings = b",".join(values(pairs, b"transfer-encoding")).lower()
    return codings.rpartition(b",")[2].strip() == b"chunked"


async def body(reader: asyncio.StreamReader, pairs: Pairs, *, until_close: bool) -> AsyncIterator[bytes]:
    """The pieces of a body by its framing; `until_close` says what no framing means (RFC 9112, section 6.3).

    Raises IncompleteReadError where the peer closed inside the body.
    """
    lengths = values(pairs, b"content-length")
    if is_chunked(pairs):
        async for piece in _chunks(reader):
            yield piece
    elif lengths:
        async for piece in _exactly(reader, int(lengths[0])):
            yield piece
    elif until_close:
        while piece := await reader.read(PIECE):
            yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        async for piece in _exactly(reader, size):
            yield piece
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        continue
