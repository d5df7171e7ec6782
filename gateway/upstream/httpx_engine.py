"""The pure Python engine: httpx's transport, without keep-alive.

httpcore hands bytes left over after a response to the next request on the connection, which in a proxy
belongs to another caller; so no connection is used twice. Whether anything was sent is read from httpcore's
trace of the connection, never from the class of an exception.
"""

import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx

from gateway import failures
from gateway.upstream.round_trip import Outbound, Response

_VERSIONS = frozenset({b"HTTP/1.0", b"HTTP/1.1"})
_NO_RESPONSE = "without sending a response"


class HttpxEngine:
    """Sends to one origin, each time over a new connection."""

    name = "httpx"
    keeps_connections = False

    def __init__(
        self, origin: str, *, connect_timeout: float, tls: ssl.SSLContext, proxy: str | None, slots: int
    ) -> None:
        self._origin = httpx.URL(origin)
        self._timeout = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls,
            trust_env=False,
            proxy=proxy,
            limits=httpx.Limits(max_connections=slots, max_keepalive_connections=0),
        )

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        connection = _Trace()
        outbound = self._build(request, connection)
        try:
            response = await self._transport.handle_async_request(outbound)
        except httpx.TransportError as error:
            raise _failure(error, sent=connection.sent) from error
        if response.extensions["http_version"] not in _VERSIONS:
            await response.aclose()
            raise failures.BadUpstreamResponse("The upstream's answer is not valid HTTP.")
        headers = [(name.lower(), value) for name, value in response.headers.raw]
        return _HttpxStream(response.status_code, headers, response)

    def _build(self, request: Outbound, connection: "_Trace") -> httpx.Request:
        headers = [*request.headers, (b"connection", b"close")]
        if request.authorization is not None:
            headers.append((b"authorization", request.authorization))
        if request.body is not None and not any(
            name in {b"content-length", b"transfer-encoding"} for name, _ in headers
        ):
            length = len(request.body) if isinstance(request.body, bytes) else None
            headers.append(
                (b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length)
            )
        built = httpx.Request(
            request.method,
            self._origin,
            headers=headers,
            stream=_Body(request.body),
            extensions={"timeout": self._timeout, "trace": connection},
        )
        built.url = _ExactUrl(self._origin, request.target)
        return built

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


class _ExactUrl(httpx.URL):
    """A URL whose target goes out as it came in; httpx itself would resolve and re-encode it.

    The extension `target` does that too, but a proxy would get it as the target of its CONNECT.
    """

    def __init__(self, origin: httpx.URL, target: bytes) -> None:
        super().__init__(origin)
        self._target = target

    @property
    def raw_path(self) -> bytes:
        return self._target


class _Trace:
    """Notes whether the first byte of the request was about to be written (httpcore's trace extension)."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            # A proxy's CONNECT carries nothing of the app's.
            self.sent = info["request"].method != b"CONNECT"


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: object) -> None:
        self._body: Any = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            yield self._body
        elif self._body is not None:
            async for piece in self._body:
                yield piece


class _HttpxStream:
    __slots__ = ("_pieces", "_response", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], response: httpx.Response) -> None:
        self.status = status
        self.headers = headers
        self._response = response
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous transport answered with a synchronous stream")
        self._pieces = aiter(stream)

    async def read(self) -> bytes | None:
        try:
            return await anext(self._pieces, None)
        except httpx.TransportError as error:
            raise failures.UpstreamConnectionLost(
                "The upstream's connection broke inside the response body."
            ) from error

    async def aclose(self) -> None:
        await self._response.aclose()


def _failure(error: httpx.TransportError, *, sent: bool) -> failures.GatewayError:
    if not sent:
        return failures.UpstreamUnreachable(
            "The upstream cannot be reached.", inner=_connect_cause(error), retry_after=1
        )
    if isinstance(error, httpx.RemoteProtocolError) and _NO_RESPONSE not in str(error):
        return failures.BadUpstreamResponse("The upstream's answer is not valid HTTP.")
    if isinstance(error, httpx.LocalProtocolError):
        return failures.RequestInvalid("The request has a header that cannot be forwarded.")
    return failures.UpstreamConnectionLost(
        "The connection to the upstream broke before it answered; the request may have been processed."
    )


def _connect_cause(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "ConnectTimeout"
    text = str(error)
    if "Name or service" in text or "getaddrinfo" in text or "resolution" in text:
        return "NameResolution"
    if "SSL" in text or "certificate" in text:
        return "Tls"
    return "ConnectionRefused" if "refused" in text or "attempts failed" in text else "Connect"
