"""A transport that closes in two steps, so that a refusal reaches an app that is still sending.

Closed at once, the kernel answers what the app goes on sending with a reset, which can overtake the response;
so the gateway ends its own side first, and reads and drops the rest for a while (RFC 9112, section 9.6).

The last of a response goes out behind what other requests send to the upstream in the same turn of the loop.
In turns with those, each write finds its reader asleep again, and to wake one costs more than to write: at 32
connections a request took a fifth more CPU.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

SECONDS = 1.0
"""How long the rest is dropped; after that a reset is the app's own doing."""
_FEW = 2
"""Requests under way with which nothing is gained by writing a response later; with two it takes longer."""

_LARGE = 32_768
"""Bytes that are written at once: more would be copied."""


class Lingering(asyncio.Transport):
    """Wraps a connection's transport; `unread` says whether the app may still be sending.

    `drop` is called once, at `close`: what comes from now on is to be dropped. A peer that does not read what
    is still to be sent has `patience` seconds. `under_way` are the requests of all connections; `later` gets
    this transport where `send_kept` is to be called, behind everything that this turn of the loop writes.
    """

    __slots__ = (
        "_closing", "_drop", "_inner", "_kept", "_later", "_patience", "_under_way", "_unread",
    )  # fmt: skip

    def __init__(
        self,
        inner: asyncio.Transport,
        *,
        unread: Callable[[], bool],
        drop: Callable[[], None],
        patience: float,
        under_way: Collection[object],
        later: Callable[["Lingering"], None],
    ) -> None:
        super().__init__()
        self._inner = inner
        self._unread = unread
        self._drop = drop
        self._patience = patience
        self._under_way = under_way
        self._later = later
        self._kept = b""
        """The last of a response, which is to be written."""
        self._closing = False

    def close(self) -> None:
        """End at once where nothing more can come, else in two steps; TLS knows only one."""
        if self.is_closing():
            return
        self._closing = True
        self.send_kept()
        unread = self._unread()
        self._drop()
        if not unread or not self._inner.can_write_eof():
            self._end()
            return
        self._inner.write_eof()
        asyncio.get_running_loop().call_later(SECONDS, self._end)

    def _end(self) -> None:
        self._inner.close()
        if self._inner.get_write_buffer_size():
            # A closed transport waits for ever for a peer that stays, but does not read.
            asyncio.get_running_loop().call_later(self._patience, self._inner.abort)

    def is_closing(self) -> bool:
        """Whether `close` was called, or the connection is gone."""
        return self._closing or self._inner.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As the wrapped transport, until the connection is gone: uvloop would raise RuntimeError then."""
        if self._kept:
            self.send_kept()
        if not self._inner.is_closing():
            self._inner.write(data)

    def write_last(self, data: bytes) -> None:
        """Write the end of a response, which may wait for the next turn of the loop."""
        if len(self._under_way) <= _FEW or len(data) > _LARGE:
            self.write(data)
            return
        if not self._kept:
            self._later(self)
        self._kept += data

    def send_kept(self) -> None:
        """Write what waits for the next turn."""
        kept, self._kept = self._kept, b""
        if kept and not self._inner.is_closing():
            self._inner.write(kept)

    def get_write_buffer_size(self) -> int:
        """As the wrapped transport, and what waits for the next turn."""
        return len(self._kept) + self._inner.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the wrapped transport."""
        return self._inner.get_extra_info(name, default)

    def abort(self) -> None:
        """Break the connection without sending what is still buffered."""
        self._inner.abort()
