r"""A raw HTTP/1.1 client: it sends what it is told and says whether what came back was complete.

async with raw_client("127.0.0.1", port) as client:
    await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    response = await client.response()
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import http1
from tests.support.standing_gateways import is_ours
from tests.support.standing_secrets import SECRETS

GUARD = 20.0
"""Seconds after which an answer that should have come is taken as a failure."""

_BODILESS = frozenset({204, 304})


@dataclass(slots=True)
class RawResponse:
    """One response as it came."""

    head: bytes
    """Status line and headers; b"" where the connection ended without an answer."""
    headers: http1.Pairs = field(default_factory=list)
    """In order, names in their original spelling."""
    status: int = 0
    """0 where no whole head came."""
    body: bytes = b""
    complete: bool = False
    """Whether head and body came to their proper end; a body without framing ends with the connection."""
    interim: list[bytes] = field(default_factory=list)
    """Heads of the 1xx responses before it."""

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a header."""
        return http1.values(self.headers, name)

    def value(self, name: bytes) -> bytes | None:
        """The only value of a header, None where it is missing. Raises ValueError for more than one."""
        found = self.values(name)
        if len(found) > 1:
            raise ValueError(f"more than one {name.decode()} header")
        return found[0] if found else None


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        address = writer.get_extra_info("peername")
        self._port: int = address[1] if isinstance(address, tuple) else 0

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces, each handed to the kernel before the next."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()

    async def offer(self, data: bytes) -> None:
        """Send until all is taken or the peer breaks the connection, as an app does that reads afterwards."""
        with suppress(ConnectionError):
            for at in range(0, len(data), http1.PIECE):
                await self.send(data[at : at + http1.PIECE])

    async def response(self, method: str = "GET") -> RawResponse:
        """Read the final response to a request of that method. Raises TimeoutError where none comes."""
        async with asyncio.timeout(GUARD):
            interim: list[bytes] = []
            while True:
                head = await self._head()
                response = _parsed(head)
                if not 100 <= response.status < 200 or response.status == 101:
                    break
                interim.append(head)
            response.interim = interim
            if response.status:
                await self._read_body(response, method)
            if is_ours(self._port):
                SECRETS.told("an answer", response.head + response.body)
            return response

    async def _head(self) -> bytes:
        try:
            return await http1.read_head(self._reader)
        except ConnectionError:
            return b""

    async def _read_body(self, response: RawResponse, method: str) -> None:
        if method == "HEAD" or response.status in _BODILESS:
            response.complete = True
            return
        try:
            async for piece in http1.body(self._reader, response.headers, until_close=True):
                response.body += piece
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        response.complete = True

    async def exactly(self, size: int) -> bytes:
        """That many bytes as they come. Raises TimeoutError, or IncompleteReadError where the peer closes."""
        async with asyncio.timeout(GUARD):
            return await self._reader.readexactly(size)

    async def until(self, mark: bytes) -> bytes:
        """What comes up to and with the mark. Raises TimeoutError, or IncompleteReadError."""
        async with asyncio.timeout(GUARD):
            return await self._reader.readuntil(mark)

    async def digest(self) -> tuple[str, int]:
        """SHA-256 (hex) and size of a response's body, which is not kept. Raises IncompleteReadError."""
        response = _parsed(await self._head())
        digest, size = hashlib.sha256(), 0
        async with asyncio.timeout(GUARD):
            async for piece in http1.body(self._reader, response.headers, until_close=True):
                digest.update(piece)
                size += len(piece)
        return digest.hexdigest(), size

    async def until_close(self) -> bytes:
        """Everything that still comes until the peer closes. Raises TimeoutError where it does not."""
        data = bytearray()
        # A reset ends the connection as well.
        async with asyncio.timeout(GUARD):
            with suppress(ConnectionError):
                while piece := await self._reader.read(http1.PIECE):
                    data += piece
        return bytes(data)

    async def closed(self) -> bool:
        """Whether the peer closes now, with nothing more to say; waits for one or the other."""
        async with asyncio.timeout(GUARD):
            try:
                return not await self._reader.read(1)
            except ConnectionError:
                return True

    def send_eof(self) -> None:
        """Say that nothing more will be sent (half close)."""
        self._writer.write_eof()

    def abort(self) -> None:
        """Leave without a word."""
        self._writer.transport.abort()


@asynccontextmanager
async def raw_client(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    unix_socket: Path | None = None,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
) -> AsyncIterator[RawClient]:
    """A connection to a port or a Unix socket; `server_name` is the name TLS asks for and checks."""
    named = (server_name or host) if tls is not None else None
    if unix_socket is not None:
        streams = await asyncio.open_unix_connection(
            unix_socket, limit=http1.LIMIT, ssl=tls, server_hostname=named
        )
    else:
        streams = await asyncio.open_connection(host, port, limit=http1.LIMIT, ssl=tls, server_hostname=named)
    client = RawClient(*streams)
    try:
        yield client
    finally:
        client.abort()


def _parsed(head: bytes) -> RawResponse:
    if not head.endswith(b"\r\n\r\n"):
        return RawResponse(head)
    start, headers = http1.parse_head(head)
    code = start.split(b" ")[1] if b" " in start else b""
    return RawResponse(head, headers, int(code) if code.isdigit() else 0)
