"""What the httpx engine's connections are read through: heads judged strictly, early answers noticed.

httpcore sends a request to its end before it reads, so an upstream that answers early and stops reading would
never be heard; and h11 forgives what a gateway must not relay.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from gateway.upstream.closure import is_proper
from gateway.upstream.response_head import BadHead, JudgedHead

_PIECE = 16_384
"""Bytes read at once while the head has not come: a flood of interim answers must not hold the loop."""

_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class Wire(httpcore.AsyncNetworkBackend):
    """Connects as httpcore's own backend does, and watches what comes."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the base class's
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """As `AsyncNetworkBackend.connect_tcp`."""
        return _Watched(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        """As `AsyncNetworkBackend.sleep`."""
        await self._backend.sleep(seconds)


class _Watched(httpcore.AsyncNetworkStream):
    """A connection for one request."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._head = JudgedHead()
        self._begun = False
        self._early: asyncio.Task[None] | None = None
        self._held = bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What has come early, then the next bytes. Raises RemoteProtocolError for a head that is none."""
        if self._early is not None:
            early, self._early = self._early, None
            await early
        if self._held:
            data = bytes(self._held[:max_bytes])
            del self._held[:max_bytes]
            return data
        return await self._next(max_bytes, timeout)

    async def _next(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._head.complete:
            data = await self._stream.read(max_bytes, timeout)
            if not data and not is_proper(self._stream.get_extra_info("ssl_object")):
                raise httpcore.ReadError("TLS has not told of the end")
            return data
        data = await self._stream.read(min(max_bytes, _PIECE), timeout)
        try:
            self._head.feed(data)
        except BadHead as problem:
            raise httpcore.RemoteProtocolError(str(problem)) from None
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send, unless the answer is there already: then WriteError, after which httpcore reads it."""
        if not self._begun:
            self._begun = True
            await self._stream.write(buffer, timeout)
            return
        if self._early is None:
            self._early = asyncio.ensure_future(self._read_early())
        writing = asyncio.ensure_future(self._stream.write(buffer, timeout))
        try:
            await asyncio.wait((writing, self._early), return_when=asyncio.FIRST_COMPLETED)
            if self._early.done():
                raise httpcore.WriteError("the answer came before the request was sent")
            await writing
        finally:
            await _ended(writing)

    async def _read_early(self) -> None:
        """Read up to the end of the head; returns as well where the connection ends."""
        while not self._head.complete and (data := await self._next(_PIECE)):
            self._held += data

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is the base class's
    ) -> httpcore.AsyncNetworkStream:
        """As `AsyncNetworkStream.start_tls`; what comes inside is another conversation."""
        return _Watched(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        """Close the connection."""
        if self._early is not None:
            await _ended(self._early)
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        """As `AsyncNetworkStream.get_extra_info`."""
        return self._stream.get_extra_info(info)


async def _ended(task: asyncio.Task[None]) -> None:
    """Give a task up, whatever has become of it."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()
