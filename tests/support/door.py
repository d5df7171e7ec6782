"""A port in front of an upstream that can be shut and opened: while it is shut, connects are refused."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.upstream import FaultUpstream

_PIECE = 65_536


class Door:
    """The port; shut at first. Connections made through it break when it is shut."""

    def __init__(self, behind: FaultUpstream) -> None:
        self._behind = behind
        self._holding = self._held(0)
        self._port: int = self._holding.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def origin(self) -> str:
        """scheme://host:port of the door."""
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Let connections in."""
        self._server = await asyncio.start_server(self._enter, sock=self._holding)

    async def shut(self) -> None:
        """Refuse connections, and break those that are there; the port stays ours."""
        if self._server is None:
            return
        spare = self._held(self._port)
        self._server.close()
        self._server = None
        self._holding = spare
        await self._break()

    async def aclose(self) -> None:
        """Give the port back."""
        await self.shut()
        self._holding.close()

    async def _break(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        self._open.clear()

    def _held(self, port: int) -> socket.socket:
        """A socket that is bound and does not listen."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", port))
        return held

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._behind.port)
        self._open |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            pipe = asyncio.create_task(_pour(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await source.read(_PIECE):
            sink.write(piece)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def door_to(behind: FaultUpstream) -> AsyncIterator[Door]:
    """A door that is shut."""
    door = Door(behind)
    try:
        yield door
    finally:
        await door.aclose()
