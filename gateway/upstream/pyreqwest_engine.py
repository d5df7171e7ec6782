"""The default engine: pyreqwest (Rust's reqwest).

What it does that a proxy must know (0.15): `ConnectError` covers a refused connection and one that broke
after the request went out, so only the chain of causes decides what was sent; header values are text, so a
response header with bytes above 0x7F cannot be read; its URL parser encodes what RFC 3986 does not allow, and
`'` in a query; it adds `Accept: */*` and a `User-Agent` where the app sent none; it puts header lines of one
name together; it holds a streamed head back for 64 KiB of body unless the read buffer limit is 0; a request
that is cancelled before its head runs on in a thread of its own, until its head or `abandon_after`.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, DetailedPyreqwestError, PyreqwestError
from pyreqwest.http import Url
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as PyreqwestResponse

from gateway import failures
from gateway.exchange import RawHeaders
from gateway.headers import first
from gateway.upstream.round_trip import Outbound, Response, Upload

_WITHOUT_BODY = frozenset({204, 304})
_NOT_SENT = "client error (Connect)"
_NOT_HTTP = (
    "invalid HTTP",
    "invalid content-length",
    "invalid transfer-encoding",
    "message head is too large",
    "message head",
    "invalid header",
    "invalid status",
    "parsed",
)


class PyreqwestEngine:
    """Sends to one origin, over kept connections."""

    name = "pyreqwest"
    keeps_connections = True

    def __init__(
        self,
        origin: str,
        *,
        connect_timeout: float,
        pool_idle: float,
        max_idle: int,
        ca_file: Path | None,
        proxy: str | None,
        user_agent: str,
        abandon_after: float,
    ) -> None:
        """`abandon_after` is in seconds, longer than every deadline of the caller's."""
        self._origin = origin
        self._url_origin = Url(origin).origin_ascii
        builder = (
            ClientBuilder()
            .http1_only()
            .http1_lower_case_headers()
            .follow_redirects(False)
            .referer(False)
            .default_cookie_store(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .user_agent(user_agent)
            .connect_timeout(timedelta(seconds=connect_timeout))
            .read_timeout(timedelta(seconds=abandon_after))
            .pool_idle_timeout(timedelta(seconds=pool_idle))
            .pool_max_idle_per_host(max_idle)
        )
        builder = builder.proxy(ProxyBuilder.all(proxy)) if proxy else builder.no_proxy()
        if ca_file is not None:
            builder = builder.add_root_certificate_pem(ca_file.read_bytes())
        self._client: Client = builder.build()
        self._leftovers: set[asyncio.Task[None]] = set()

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        body = (
            request.body if request.body is None or isinstance(request.body, bytes) else _Body(request.body)
        )
        stream = self._build(request, body)
        opening = asyncio.ensure_future(stream.__aenter__())
        try:
            response = await asyncio.shield(opening)
        except PyreqwestError as error:
            _fail(error)
        except asyncio.CancelledError:
            if isinstance(body, _Body):
                body.dropped = True
            # Before anything else can run: the engine may be closed, and this fail, before the task begins.
            opening.add_done_callback(_heard)
            request.leftover = leftover = asyncio.create_task(_close_late(opening, stream))
            self._leftovers.add(leftover)
            leftover.add_done_callback(self._leftovers.discard)
            raise
        try:
            headers = _raw(response)
        except ValueError:
            await stream.__aexit__(None, None, None)
            raise failures.BadUpstreamResponse(
                "A response header has bytes outside ASCII.", inner="HeaderEncoding"
            ) from None
        left = _announced(request.method, response.status, headers)
        return _PyreqwestStream(response, headers, left, stream)

    def _build(self, request: Outbound, body: "bytes | _Body | None") -> StreamRequest:
        url = Url(self._origin + request.target.decode("ascii"))
        if url.origin_ascii != self._url_origin:
            raise failures.RequestInvalid("The request target leads to another origin.")
        pairs = [(name.decode("ascii"), value.decode()) for name, value in request.headers]
        if request.authorization is not None:
            pairs.append(("authorization", request.authorization.decode("ascii")))
        try:
            builder = self._client.request(request.method, url).headers(pairs).streamed_read_buffer_limit(0)
            if isinstance(body, bytes):
                builder = builder.body_bytes(body)
            elif body is not None:
                builder = builder.body_stream(body)
            return builder.build_streamed()
        except (BuilderError, ValueError):
            raise failures.RequestInvalid("The request has a header that cannot be forwarded.") from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.close()
        for leftover in tuple(self._leftovers):
            leftover.cancel()
            await asyncio.wait((leftover,))


async def _close_late(opening: asyncio.Future[PyreqwestResponse], stream: StreamRequest) -> None:
    """Wait for the answer nobody waits for any more, and drop it with its connection."""
    await asyncio.wait((opening,))
    if not opening.cancelled() and opening.exception() is None:
        await stream.__aexit__(None, None, None)


def _heard(opening: asyncio.Future[PyreqwestResponse]) -> None:
    """Take note of a failure nobody waits for, or asyncio reports it as forgotten."""
    if not opening.cancelled():
        opening.exception()


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


def _raw(response: PyreqwestResponse) -> RawHeaders:
    return [(name.encode("ascii"), value.encode()) for name, value in response.headers.items()]


def _announced(method: str, status: int, headers: RawHeaders) -> int | None:
    """The body's length in bytes; None where only its end will tell (RFC 9112, section 6.3)."""
    if method == "HEAD" or status in _WITHOUT_BODY:
        return 0
    length = first(headers, b"content-length")
    # An ambiguous response is refused before its body is read.
    return int(length) if length is not None and length.isdigit() else None


class _PyreqwestStream:
    __slots__ = ("_body", "_left", "_request", "headers", "status")

    def __init__(
        self, response: PyreqwestResponse, headers: RawHeaders, left: int | None, request: StreamRequest
    ) -> None:
        self.status = response.status
        self.headers = headers
        self._body = response.body_reader
        self._left = left
        self._request = request

    async def read(self) -> bytes | None:
        if self._left == 0:
            # Asking for the end would cost another trip through the engine's thread.
            return None
        try:
            piece = await self._body.read_chunk()
        except PyreqwestError as error:
            raise failures.UpstreamConnectionLost(
                "The upstream's connection broke inside the response body."
            ) from error
        if piece is None:
            return None
        if self._left is not None:
            self._left -= len(piece)
        return bytes(piece)

    async def aclose(self) -> None:
        await self._request.__aexit__(None, None, None)


def _fail(error: PyreqwestError) -> NoReturn:
    causes = _causes(error)
    if _NOT_SENT in causes:
        raise failures.UpstreamUnreachable(
            "The upstream cannot be reached.", inner=_connect_cause(causes), retry_after=1
        ) from error
    last = causes[-1] if causes else ""
    if any(mark in last for mark in _NOT_HTTP):
        raise failures.BadUpstreamResponse("The upstream's answer is not valid HTTP.") from error
    raise failures.UpstreamConnectionLost(
        "The connection to the upstream broke before it answered; the request may have been processed."
    ) from error


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]


def _connect_cause(causes: list[str]) -> str:
    text = " ".join(causes)
    if "dns error" in text:
        return "NameResolution"
    if "timed out" in text or "deadline has elapsed" in text:
        return "ConnectTimeout"
    if "certificate" in text or "corrupt message" in text or "tls" in text.lower():
        return "Tls"
    return "ConnectionRefused" if "refused" in text else "Connect"
