"""Whom the asyncio engine trusts: a TLS context, made anew once it is old, since CA files are replaced."""

import asyncio
import logging
import ssl
from collections.abc import Callable

_log = logging.getLogger("gateway.upstream")


class Trust:
    """The context for new connections."""

    def __init__(self, build: Callable[[], ssl.SSLContext], *, age: float) -> None:
        """`build` may block: but for the first time it is called in a thread, once `age` seconds are over."""
        self._build = build
        self._age = age
        self._context = build()
        self._until: float | None = None
        """On the loop's clock; None before the first use."""

    async def context(self) -> ssl.SSLContext:
        """The context; one that cannot be renewed stays for another age."""
        now = asyncio.get_running_loop().time()
        if self._until is not None and now >= self._until:
            self._until = now + self._age
            try:
                self._context = await asyncio.to_thread(self._build)
            except (OSError, ValueError) as error:  # such as a CA file that is just being replaced
                _log.warning("upstream CAs not renewed", extra={"reason": str(error)})
            except asyncio.CancelledError:
                self._until = now
                raise
        elif self._until is None:
            self._until = now + self._age
        return self._context
