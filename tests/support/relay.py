"""A TCP relay that stands between two, and what networks do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Relay:
    """Passes bytes on both ways, after `delay` seconds.

    While it swallows none arrive; while it is mute, none that come back.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.delay = 0.0
        self.swallows = False
        self.mute = False
        self.swallowed: set[int] = set()
        """Connections, counted from 1, that swallow by themselves."""
        self.accepted = 0

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def aclose(self) -> None:
        """Close it, with all that passes through it."""
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.ensure_future(self._serve(self.accepted, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._writers.add(writer)
        try:
            back, there = await asyncio.open_connection(*self._target)
            ends.append(there)
            self._writers.add(there)
            ways = [
                asyncio.ensure_future(way)
                for way in (
                    self._pass(number, reader, there),
                    self._pass(number, back, writer, back=True),
                )
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            for one in ends:
                one.transport.abort()
                self._writers.discard(one)

    async def _pass(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False
    ) -> None:
        while data := await reader.read(65_536):
            if self.delay:
                await asyncio.sleep(self.delay)
            if not (self.swallows or number in self.swallowed or (self.mute and back)):
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def relay_to(host: str, port: int) -> AsyncIterator[Relay]:
    """A relay until the block ends."""
    relay = Relay(host, port)
    await relay.open()
    try:
        yield relay
    finally:
        await relay.aclose()
