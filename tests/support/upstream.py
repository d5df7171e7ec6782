"""A recording upstream on a real socket, whose every byte and every pause a test decides.

    async with fault_upstream() as upstream:
        upstream.on("/models", faults.reply(200, b"[]"))
        ...
        assert upstream.last.target == b"/models"

`received.py` holds what arrived, `faults.py` the usual behaviours; any `async def (call)` is one too.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import trustme

from tests.support import http1
from tests.support.received import Received
from tests.support.standing import serving
from tests.support.standing_secrets import SECRETS

GUARD = 20.0
"""Seconds after which something that should have happened is taken as a failure."""


class Call:
    """One request and the means to answer it; the connection lives on until it is closed."""

    def __init__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nth: int
    ) -> None:
        self.request = request
        self.nth = nth
        """Which request of its connection this is, from 1."""
        self._reader = reader
        self._writer = writer

    async def body(self) -> bytes:
        """Read the request's body to its end; the record keeps it, or what came of it."""
        await self.request.read_body(self._reader)
        return self.request.body

    async def some(self, size: int) -> None:
        """Read that many bytes of the request's body, whatever they are; nothing is recorded."""
        await self._reader.readexactly(size)

    async def send(self, data: bytes) -> None:
        """Send these bytes as they are; returns when the peer has taken most of them."""
        self._writer.write(data)
        await self._writer.drain()

    async def send_head(self, status: int, headers: http1.Pairs) -> None:
        """Send a response head without a reason phrase of its own."""
        lines = [b"HTTP/1.1 %d Scripted" % status, *(name + b": " + value for name, value in headers)]
        await self.send(b"\r\n".join(lines) + b"\r\n\r\n")

    async def send_chunk(self, data: bytes) -> None:
        """Send one chunk; b"" is the last one."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def gone(self) -> None:
        """Wait until the peer has closed its side."""
        try:
            while await self._reader.read(http1.PIECE):
                continue
        except ConnectionError:
            return

    def close(self) -> None:
        """Close politely (FIN) after what was sent."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection (RST)."""
        http1.reset(self._writer)


Behaviour = Callable[[Call], Awaitable[None]]


async def _hello(call: Call) -> None:
    await call.body()
    head = call.request.method == b"HEAD"
    await call.send_head(200, [(b"Content-Length", b"5")])
    await call.send(b"" if head else b"hello")


class FaultUpstream:
    """The running server: what it will do, and what it has seen."""

    def __init__(self, *, tls: trustme.CA | None) -> None:
        self.default: Behaviour = _hello
        """What happens on a path without a script of its own."""
        self.requests: list[Received] = []
        """Every request whose head has arrived, in order."""
        self.patience: int | None = None
        """Bytes that a new connection may send before it is reset; None lets all pass."""
        self.cut_short: list[bytes] = []
        """What came over each connection that was reset by `patience`."""
        self.connections = 0
        """Connections accepted so far; over TLS those whose handshake succeeded."""
        self.port = 0
        self._tls = tls
        self._scripts: dict[bytes, list[Behaviour]] = {}
        self._changed = asyncio.Condition()
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._answering: set[asyncio.StreamWriter] = set()
        self._broken: list[Exception] = []

    @property
    def origin(self) -> str:
        """scheme://host:port."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self._tasks)

    @property
    def last(self) -> Received:
        """The latest request."""
        return self.requests[-1]

    def on(self, path: str, *behaviours: Behaviour) -> None:
        """Script a path (without its query): one behaviour per request in turn, the last one for ever."""
        self._scripts[path.encode()] = list(behaviours)

    def reset(self) -> None:
        """Forget the scripts and the requests so far."""
        self.patience = None
        self.cut_short.clear()
        self._scripts.clear()
        self.requests.clear()
        self.default = _hello

    async def received(self, count: int) -> list[Received]:
        """Wait until that many requests have arrived."""
        async with asyncio.timeout(GUARD), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def idle(self) -> None:
        """Wait until every connection is closed."""
        async with asyncio.timeout(GUARD), self._changed:
            await self._changed.wait_for(lambda: not self._tasks)

    def _script(self, path: bytes) -> Behaviour:
        behaviours = self._scripts.get(path, [self.default])
        return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]

    def let_go(self) -> None:
        """Break the connections whose answer is not over; nobody waits for it any more."""
        for writer in self._answering:
            writer.transport.abort()

    async def restart(self) -> None:
        """Break every connection, as a server does that dies; new ones are accepted at once."""
        await self._break()
        await self.idle()

    async def start(self, host: str) -> asyncio.Server:
        """Listen on a free port."""
        context = None
        if self._tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        server = await asyncio.start_server(self._accept, host, 0, limit=http1.LIMIT, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer, self.connections), name=serving(self.port))
        self._tasks[task] = writer

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        try:
            # A client that goes away is a thing to observe, and not a failure of the script.
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._calls(reader, writer, connection)
        except Exception as error:  # noqa: BLE001 - a broken script fails the test at its end
            self._broken.append(error)
        finally:
            writer.transport.abort()
            async with self._changed:
                task = asyncio.current_task()
                if task is not None:
                    self._tasks.pop(task, None)
                self._changed.notify_all()

    async def _calls(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        nth = 0
        if self.patience is not None:
            self.cut_short.append(await http1.upto(reader, self.patience))
            http1.reset(writer)
            return
        while not writer.is_closing() and (head := await http1.read_head(reader)):
            nth += 1
            request = Received(head, connection)
            SECRETS.arrived(head)
            async with self._changed:
                self.requests.append(request)
                self._changed.notify_all()
            if not head.endswith(b"\r\n\r\n"):
                break
            call = Call(request, reader, writer, nth)
            self._answering.add(writer)
            try:
                await self._script(request.path)(call)
                if not writer.is_closing():
                    await call.body()
            finally:
                request.over.set()
                self._answering.discard(writer)
        await writer.drain()
        if writer.is_closing():
            await writer.wait_closed()

    async def aclose(self) -> None:
        """Break what is still open. Raises what a script raised."""
        await self._break()
        if self._broken:
            raise ExceptionGroup("scripts of the upstream failed", self._broken)

    async def _break(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        # A task that is cancelled before it began closes nothing.
        for writer in list(self._tasks.values()):
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def fault_upstream(
    behaviour: Behaviour | None = None, *, tls: trustme.CA | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[FaultUpstream]:
    """A running upstream; `behaviour` replaces the friendly default, `tls` signs a certificate for it."""
    upstream = FaultUpstream(tls=tls)
    if behaviour is not None:
        upstream.default = behaviour
    server = await upstream.start(host)
    try:
        yield upstream
    finally:
        server.close()
        await upstream.aclose()
