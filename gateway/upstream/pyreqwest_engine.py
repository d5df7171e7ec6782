"""The default engine: pyreqwest (Rust's reqwest).

What it does that a proxy must know (0.15): `ConnectError` covers a refused connection and one that broke
after the request went out, so only the chain of causes decides what was sent; header values are text, so a
response header with bytes above 0x7F cannot be read; its URL parser encodes what RFC 3986 does not allow, and
`'` in a query; it adds `Accept: */*` and a `User-Agent` where the app sent none; it holds a streamed head
back for 64 KiB of body unless the read buffer limit is 0.
"""

from collections.abc import Callable
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
from gateway.upstream.round_trip import Outbound, Response

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
    ) -> None:
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
            .pool_idle_timeout(timedelta(seconds=pool_idle))
            .pool_max_idle_per_host(max_idle)
        )
        builder = builder.proxy(ProxyBuilder.all(proxy)) if proxy else builder.no_proxy()
        if ca_file is not None:
            builder = builder.add_root_certificate_pem(ca_file.read_bytes())
        self._client: Client = builder.build()

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        stream = self._build(request)
        try:
            response = await stream.__aenter__()
        except PyreqwestError as error:
            _fail(error)
        try:
            headers = _raw(response)
        except ValueError:
            await stream.__aexit__(None, None, None)
            raise failures.BadUpstreamResponse(
                "A response header has bytes outside ASCII.", inner="HeaderEncoding"
            ) from None
        return _PyreqwestStream(response.status, headers, response.body_reader.read_chunk, stream)

    def _build(self, request: Outbound) -> StreamRequest:
        url = Url(self._origin + request.target.decode("ascii"))
        if url.origin_ascii != self._url_origin:
            raise failures.RequestInvalid("The request target leads to another origin.")
        pairs = [(name.decode("ascii"), value.decode()) for name, value in request.headers]
        if request.authorization is not None:
            pairs.append(("authorization", request.authorization.decode("ascii")))
        try:
            builder = self._client.request(request.method, url).headers(pairs).streamed_read_buffer_limit(0)
            if isinstance(request.body, bytes):
                builder = builder.body_bytes(request.body)
            elif request.body is not None:
                builder = builder.body_stream(request.body)
            return builder.build_streamed()
        except (BuilderError, ValueError):
            raise failures.RequestInvalid("The request has a header that cannot be forwarded.") from None

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.close()


def _raw(response: PyreqwestResponse) -> RawHeaders:
    return [(name.encode("ascii"), value.encode()) for name, value in response.headers.items()]


class _PyreqwestStream:
    __slots__ = ("_read_chunk", "_request", "headers", "status")

    def __init__(
        self, status: int, headers: RawHeaders, read_chunk: Callable[[], object], request: StreamRequest
    ) -> None:
        self.status = status
        self.headers = headers
        self._read_chunk = read_chunk
        self._request = request

    async def read(self) -> bytes | None:
        try:
            piece = await self._read_chunk()  # type: ignore[misc]
        except PyreqwestError as error:
            raise failures.UpstreamConnectionLost(
                "The upstream's connection broke inside the response body."
            ) from error
        return None if piece is None else bytes(piece)

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
