"""A transport that closes in two steps, so that a refusal reaches an app that is still sending.

Closed at once, the kernel answers what the app goes on sending with a reset, which can overtake the response;
so the gateway ends its own side first, and reads and drops the rest for a while (RFC 9112, section 9.6).
"""

import asyncio
from collections.abc import Callable
from typing import Any

SECONDS = 1.0
"""How long the rest is dropped; after that a reset is the app's own doing."""


class Lingering(asyncio.Transport):
    """Wraps a connection's transport; `unread` says whether the app may still be sending.

    `drop` is called once, at `close`: what comes from now on is to be dropped. A peer that does not read what
    is still to be sent has `patience` seconds.
    """

    def __init__(
        self,
        inner: asyncio.Transport,
        *,
        unread: Callable[[], bool],
        drop: Callable[[], None],
        patience: float,
    ) -> None:
        super().__init__()
        self._inner = inner
        self._unread = unread
        self._drop = drop
        self._patience = patience
        self._closing = False

    def close(self) -> None:
        """End at once where nothing more can come, else in two steps; TLS knows only one."""
        if self.is_closing():
            return
        self._closing = True
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
        if not self._inner.is_closing():
            self._inner.write(data)

    def get_write_buffer_size(self) -> int:
        """As the wrapped transport."""
        return self._inner.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the wrapped transport."""
        return self._inner.get_extra_info(name, default)

    def abort(self) -> None:
        """Break the connection without sending what is still buffered."""
        self._inner.abort()
