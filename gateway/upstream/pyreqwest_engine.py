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
from functools import partial
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
from gateway.upstream.pyreqwest_response import PyreqwestStream, announced, raw_headers
from gateway.upstream.round_trip import EngineResponse, Outbound, Upload


class PyreqwestEngine:
    """Sends to one origin, over kept connections."""

    name = "pyreqwest"

    def __init__(self, origin: str, clients: Generations[Client]) -> None:
        self._origin = origin
        self._url_origin = Url(origin).origin_ascii
        self._clients = clients
        self._leftovers: set[asyncio.Task[None]] = set()

    async def send(self, request: Outbound) -> EngineResponse:
        """As `Engine.send`."""
        body = (
            request.body if request.body is None or isinstance(request.body, bytes) else _Body(request.body)
        )
        await self._clients.settled()
        # Not the client itself: the traceback of a failure would keep it, and with it its connections.
        stream = self._build(self._clients.current(), request, body)
        number, kept = self._clients.number, self._clients.used
        opening = stream.__aenter__()
        try:
            response = await going_on(opening)
        except PyreqwestError as error:
            fail(error, kept=kept)
        except asyncio.CancelledError:
            if isinstance(body, _Body):
                body.dropped = True
            request.leftover = leftover = asyncio.create_task(_close_late(opening, stream))
            self._leftovers.add(leftover)
            leftover.add_done_callback(self._leftovers.discard)
            raise
        try:
            headers = raw_headers(response)
        except ValueError:
            await stream.__aexit__(None, None, None)
            raise failures.BadUpstreamResponse(
                "A response header has bytes outside ASCII.", inner="HeaderEncoding"
            ) from None
        self._clients.note_used(number)
        left = announced(request.method, response.status, headers)
        return PyreqwestStream(response, headers, left, stream, partial(self._clients.retire, number))

    def _build(self, client: Client, request: Outbound, body: "bytes | _Body | None") -> StreamRequest:
        request.check_target()
        url = Url(self._origin + request.target.decode("ascii"))
        if url.origin_ascii != self._url_origin:
            raise failures.RequestInvalid("The request target leads to another origin.")
        pairs = [(name.decode("ascii"), value.decode()) for name, value in request.headers]
        if request.authorization is not None:
            pairs.append(("authorization", request.authorization.decode("ascii")))
        try:
            builder = client.request(request.method, url).headers(pairs).streamed_read_buffer_limit(0)
            if isinstance(body, bytes):
                builder = builder.body_bytes(body)
            elif body is not None:
                builder = builder.body_stream(body)
            return builder.build_streamed()
        except (BuilderError, ValueError):
            raise failures.RequestInvalid("The request has a header that cannot be forwarded.") from None

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
