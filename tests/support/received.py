"""What arrived at the recording upstream: one request, byte for byte."""

import asyncio
import hashlib

from tests.support import http1

KEPT = 1_048_576
"""Bytes of a body that are kept; larger bodies are known by size and digest."""


class Received:
    """One request; its body is filled in as it is read."""

    def __init__(self, head: bytes, connection: int) -> None:
        self.head = head
        """Request line and headers with the blank line, as received."""
        self.connection = connection
        """The connection it came on, from 1."""
        start, self.headers = http1.parse_head(head)
        self.method, self.target, self.version = (*start.split(b" "), b"", b"")[:3]
        self.body = b""
        """The first `KEPT` bytes, without chunk framing."""
        self.size = 0
        self.complete = False
        """Whether the body was read to its proper end."""
        self.over = asyncio.Event()
        """Set when the body has been read, or will not be."""
        self._digest = hashlib.sha256()

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def sha256(self) -> str:
        """Digest of the whole body, as hex."""
        return self._digest.hexdigest()

    @property
    def names(self) -> list[bytes]:
        """Header names in order, in lower case."""
        return [name.lower() for name, _ in self.headers]

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return http1.values(self.headers, name)

    async def read_body(self, reader: asyncio.StreamReader) -> None:
        """Read the body to its end, once."""
        if self.complete:
            return
        try:
            async for piece in http1.body(reader, self.headers, until_close=False):
                self.size += len(piece)
                self._digest.update(piece)
                if len(self.body) < KEPT:
                    self.body += piece[: KEPT - len(self.body)]
            self.complete = True
        finally:
            self.over.set()

    def __repr__(self) -> str:
        return f"Received({self.method!r}, {self.target!r}, {self.size} bytes)"
