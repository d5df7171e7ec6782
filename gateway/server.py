"""The server: uvicorn's, less what a process with two of them and a drain cannot use."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn

from gateway.handshakes import Counted, Handshakes, secure


class Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone, and ends without resetting a connection."""

    def __init__(self, config: uvicorn.Config, *, handshake: float) -> None:
        """`handshake` is the time for a TLS handshake, in seconds."""
        super().__init__(config)
        self._handshake = handshake
        self.listening = asyncio.Event()
        self._leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell who waits for it; uvicorn itself would grant a TLS handshake a minute."""
        self.servers = [await self._listen(each) for each in sockets or ()]
        self.started = True
        self.listening.set()

    async def _listen(self, listener: socket.socket) -> Any:
        if self.config.ssl and sys.platform != "win32":  # where no loop tells that somebody connects
            return Handshakes(listener, self._protocol, self.config.ssl, seconds=self._handshake)
        return await asyncio.get_running_loop().create_server(
            self._protocol,
            sock=listener,
            ssl=self.config.ssl,
            backlog=self.config.backlog,
            ssl_handshake_timeout=self._handshake if self.config.ssl else None,
        )

    async def main_loop(self) -> None:
        """Serve until told to leave; uvicorn itself would look ten times a second."""
        await self.on_tick(0)
        await self._leaving.wait()

    def leave(self) -> None:
        """Stop listening, finish what is in flight, end."""
        self.should_exit = True
        self._leaving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and serve who has connected by then: what is not accepted, a close would reset."""
        last = [each.dup() for each in sockets or ()]
        for server in self.servers:
            server.close()
        for each in sockets or ():
            each.close()
        accepted = [connection for each in last for connection in _waiting(each)]
        for each in last:
            each.close()
        # One whose peer has left by now, or whose handshake fails, is nobody's loss.
        await asyncio.gather(*(self._take_in(each) for each in accepted), return_exceptions=True)
        await super().shutdown(sockets=sockets)

    async def _take_in(self, connection: socket.socket) -> None:
        context = self.config.ssl
        if context:
            await secure(self._protocol(), connection, context, self._handshake)
        else:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> Counted:
        protocol: Any = self.config.http_protocol_class
        counted: Counted = protocol(config=self.config, server_state=self.server_state, app_state={})
        return counted

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that the kernel has taken for the listener."""
    listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            yield listener.accept()[0]
