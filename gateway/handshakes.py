"""TLS connections from the moment they are accepted.

asyncio's own server shows a connection to its protocol only once the handshake is over. Whoever connects and
says nothing would be counted nowhere until then, and could take every file that may be opened.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial

_PAUSE = 1.0
"""Seconds until the next try where a connection cannot be accepted."""
_AT_ONCE = 100
"""Connections that are accepted before others have a turn."""
_log = logging.getLogger("gateway.handshakes")


class Counted(asyncio.Protocol):
    """A protocol that knows of its connection before the handshake is over."""

    def accepted(self, give_up: Callable[[], object]) -> None:
        """There is a connection; `give_up` ends it while its handshake lasts."""

    def shaken(self) -> None:
        """The handshake is over; where it failed, `connection_made` was not called."""


def secure(
    protocol: Counted, connection: socket.socket, context: ssl.SSLContext, seconds: float
) -> asyncio.Task[None]:
    """Have an accepted connection served by the protocol, after a handshake of at most so many seconds."""
    protocol.accepted(partial(_end, connection))
    return asyncio.create_task(_shake_hands(protocol, connection, context, seconds))


async def _shake_hands(
    protocol: Counted, connection: socket.socket, context: ssl.SSLContext, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):  # ssl.SSLError is one; asyncio's server tells nobody either
        try:
            await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=context, ssl_handshake_timeout=seconds
            )
        finally:
            protocol.shaken()


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the peer may have been quicker
        connection.shutdown(socket.SHUT_RDWR)


class Handshakes:
    """What accepts the connections of a listener with TLS, in place of asyncio's server."""

    def __init__(
        self,
        listener: socket.socket,
        build: Callable[[], Counted],
        context: ssl.SSLContext,
        *,
        seconds: float,
    ) -> None:
        """Accept from now on; a handshake may take so many seconds."""
        self._loop = asyncio.get_running_loop()
        self._listener: socket.socket | None = listener
        self._build = build
        self._context = context
        self._seconds = seconds
        self._under_way: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._read(listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("a connection cannot be accepted", extra={"reason": error.strerror})
                self._loop.remove_reader(listener)
                self._again = self._loop.call_later(_PAUSE, self._read, listener)
                return
            task = secure(self._build(), connection, self._context, self._seconds)
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def _read(self, listener: socket.socket) -> None:
        self._loop.add_reader(listener, self._accept, listener)

    def close(self) -> None:
        """Accept no more; what is accepted goes on. It may be called again."""
        if self._listener is None:
            return
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listener)
        self._listener = None

    async def wait_closed(self) -> None:
        """End the handshakes that are still under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
