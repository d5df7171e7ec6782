"""The default engine: pyreqwest (Rust's reqwest).

What it does that a proxy must know (0.15): `ConnectError` covers a refused connection and one that broke
after the request went out, so only the chain of causes decides what was sent; header values are text, so a
response header with bytes above 0x7F cannot be read; its URL parser encodes what RFC 3986 does not allow, and
`'` in a query; it adds `Accept: */*` and a `User-Agent` where the app sent none; it puts header lines of one
name together; it holds a streamed head back for 64 KiB of body unless the read buffer limit is 0; a request
that is cancelled before its head runs on in a thread of its own, until that or the client's read timeout.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from functools import lru_cache
from typing import Any

from pyreqwest.client import Client
from pyreqwest.exceptions import BuilderError, PyreqwestError
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as PyreqwestResponse

from gateway import failures
from gateway.upstream.generations import Generations
from gateway.upstream.opening import going_on
from gateway.upstream.pyreqwest_failures import fail
from gateway.upstream.pyreqwest_response import PyreqwestStream
from gateway.upstream.response import Response
from gateway.upstream.round_trip import Outbound, Upload, check_target

_KNOWN_URLS = 512
"""Targets whose URL is kept: apps ask for few jobs often, and to parse and check one takes 1 us."""
_KNOWN_URL = 300
"""Bytes of the longest of them."""


class PyreqwestEngine:
    """Sends to one origin, over kept connections."""

    name = "pyreqwest"

    def __init__(self, origin: str, clients: Generations[Client]) -> None:
        self._origin = origin
        self._url_origin = Url(origin).origin_ascii
        self._clients = clients
        self._leftovers: set[asyncio.Task[None]] = set()
        self._known_url = lru_cache(_KNOWN_URLS)(self._url)

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        clients, given, target = self._clients, request.body, request.target
        body = given if given is None or isinstance(given, bytes) else _Body(given)
        if clients.retired:
            await clients.settled()
        url = self._known_url(target) if len(target) <= _KNOWN_URL else self._url(target)
        pairs = [(name.decode(), value.decode()) for name, value in request.headers]
        if request.authorization is not None:
            pairs.append(("authorization", request.authorization))
        try:
            # Not the client itself: the traceback of a failure would keep it, and with it its connections.
            builder = clients.current().request(request.method, url).headers(pairs)
            if body is not None:
                builder = builder.body_bytes(body) if isinstance(body, bytes) else builder.body_stream(body)
            stream = builder.streamed_read_buffer_limit(0).build_streamed()
        except (BuilderError, ValueError):
            raise failures.RequestInvalid("The request has a header that cannot be forwarded.") from None
        number, kept = clients.number, clients.used
        opening = stream.__aenter__()
        try:
            response = await going_on(opening)
        except PyreqwestError as error:
            fail(error, kept=kept)
        except asyncio.CancelledError:
            if isinstance(body, _Body):
                body.dropped = True
            request.leftover = self._left_running(opening, stream)
            raise
        try:
            answered = PyreqwestStream(request.method, stream, response, clients, number)
        except failures.BadUpstreamResponse:
            await stream.__aexit__(None, None, None)
            raise
        if not kept:
            clients.note_used(number)
        return answered

    def _left_running(
        self, opening: Coroutine[Any, Any, PyreqwestResponse], stream: StreamRequest
    ) -> asyncio.Task[None]:
        leftover = asyncio.create_task(_close_late(opening, stream))
        self._leftovers.add(leftover)
        leftover.add_done_callback(self._leftovers.discard)
        return leftover

    def _url(self, target: bytes) -> Url:
        """The URL of a target. Raises RequestInvalid where it is not one of the origin's."""
        check_target(target)
        url = Url(self._origin + target.decode("ascii"))
        if url.origin_ascii != self._url_origin:
            raise failures.RequestInvalid("The request target leads to another origin.")
        return url

    async def aclose(self) -> None:
        """Close every connection."""
        await (await self._clients.aclose()).close()
        for leftover in tuple(self._leftovers):
            leftover.cancel()
            await asyncio.wait((leftover,))


async def _close_late(opening: Coroutine[Any, Any, PyreqwestResponse], stream: StreamRequest) -> None:
    """Wait for the answer nobody waits for any more, and drop it with its connection."""
    try:
        await going_on(opening)
    except Exception:  # noqa: BLE001 - whatever it is, nobody asks for it
        return
    await stream.__aexit__(None, None, None)


class _Body:
    """An upload that breaks, and its connection with it, once the request was given up."""

    def __init__(self, upload: Upload) -> None:
        self.dropped = False
        self._upload = upload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._upload:
            if self.dropped:
                raise ConnectionAbortedError("the request was given up")
            yield piece
