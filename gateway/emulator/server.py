"""A real listener around an emulator: uvicorn in the running event loop, with connections that can be cut.

The listener hands the app, in the scope's `state`, the request's target and header names as they were
spelled on the wire, and a callable that closes the connection.
"""

import asyncio
import contextlib
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.emulator.app import Emulator, create_emulator
from gateway.emulator.clock import Clock, utc_now
from gateway.emulator.settings import EmulatorSettings

GRACE: Final = 1
"""Seconds a request under way gets to end when the listener stops."""


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """An emulator that listens: `url` is its origin, as `http://127.0.0.1:8090`."""

    url: str
    emulator: Emulator


class CuttingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also tells the app what it otherwise smooths over, and lets it close the
    connection.
    """

    def on_message_begin(self) -> None:
        """Begin a request, with a list of its own for the headers as they are spelled."""
        super().on_message_begin()
        self.spelled: list[tuple[bytes, bytes]] = []
        self.scope["state"].update(headers=self.spelled, cut=self.cut)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the spelling, then let uvicorn lower the name."""
        self.spelled.append((name, value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Keep the target before uvicorn takes it apart."""
        self.scope["state"]["target"] = self.url
        super().on_headers_complete()

    def cut(self, reset: bool) -> None:
        """Close the connection after what is written; with `reset` at once, and the peer is told so
        by TCP.
        """
        if not reset:
            self.transport.close()
            return
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class Listener(uvicorn.Server):
    """uvicorn's server without its signal handlers; `ready` is set once it accepts connections."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(
            uvicorn.Config(
                emulator.app,
                interface="asgi3",
                proxy_headers=False,
                http=CuttingProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self.ready = asyncio.Event()
        self._closing = emulator.state.closing

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs the loop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wake what is delayed, then stop."""
        self._closing.set()
        await super().shutdown(sockets)


@contextlib.asynccontextmanager
async def running_emulator(
    settings: EmulatorSettings | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    clock: Clock = utc_now,
) -> AsyncIterator[RunningEmulator]:
    """Run an emulator in this event loop until the block ends; port 0 takes a free one. Raises OSError if it
    cannot bind.
    """
    emulator = create_emulator(settings, clock=clock)
    bound = bind(host, port)
    listener = Listener(emulator)
    task = asyncio.create_task(listener.serve(sockets=[bound]))
    ready = asyncio.create_task(listener.ready.wait())
    try:
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield RunningEmulator(origin(bound), emulator)
    finally:
        ready.cancel()
        listener.should_exit = True
        await task


async def serve(
    host: str = "127.0.0.1",
    port: int = 8090,
    settings: EmulatorSettings | None = None,
    *,
    on_ready: Callable[[RunningEmulator], Any] | None = None,
) -> None:
    """Run an emulator until SIGINT or SIGTERM; `on_ready` is called once it listens. Raises OSError if it
    cannot bind.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with running_emulator(settings, host, port) as running:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        try:
            if on_ready is not None:
                on_ready(running)
            await stop.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError, for a port in use or an address that is not ours."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def origin(bound: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
