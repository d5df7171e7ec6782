"""The pure Python engine: httpcore, which is httpx's transport, without keep-alive.

httpcore hands bytes left over after a response to the next request on the connection, which in a proxy
belongs to another caller; so no connection is used twice, and no pool either. Whether anything was sent is
read from httpcore's trace of the connection, never from the class of an exception.
"""

import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

from gateway import failures
from gateway.upstream.httpx_wire import Wire
from gateway.upstream.response import LOST, PulledResponse, Response
from gateway.upstream.round_trip import Outbound, check_target

_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
_NO_RESPONSE = "without sending a response"


class HttpxEngine:
    """Sends to one origin, each time over a new connection."""

    name = "httpx"

    def __init__(
        self, origin: str, *, connect_timeout: float, tls: ssl.SSLContext, proxy: str | None
    ) -> None:
        self._origin = httpcore.URL(origin)
        self._timeout = {"connect": connect_timeout, "read": None, "write": None, "pool": None}
        self._tls = tls
        self._proxy = _proxy(proxy) if proxy else None
        self._open: set[httpcore.AsyncConnectionPool] = set()

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        connection = _Trace()
        pool = self._pool()
        try:
            response = await pool.handle_async_request(self._build(request, connection))
        except _BROKEN as error:
            await self._close(pool)
            raise _failure(error, sent=connection.sent) from error
        except BaseException:
            await self._close(pool)
            raise
        return _HttpxStream(response, partial(self._close, pool))

    def _pool(self) -> httpcore.AsyncConnectionPool:
        """A pool for one request: httpcore (1.0.9) keeps a connection for good in a pool whose request was
        cancelled between its connect and its first byte, until the pool has no room for another.
        """
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls,
            proxy=self._proxy,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=Wire(),
        )
        self._open.add(pool)
        return pool

    async def _close(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._open.discard(pool)
        await pool.aclose()

    def _build(self, request: Outbound, connection: "_Trace") -> httpcore.Request:
        check_target(request.target)
        headers = [*request.headers, (b"connection", b"close")]
        if request.authorization is not None:
            headers.append((b"authorization", request.authorization.encode("ascii")))
        if request.body is not None and not any(
            name in {b"content-length", b"transfer-encoding"} for name, _ in headers
        ):
            length = len(request.body) if isinstance(request.body, bytes) else None
            headers.append(
                (b"transfer-encoding", b"chunked") if length is None else (b"content-length", b"%d" % length)
            )
        origin = self._origin
        return httpcore.Request(
            request.method,
            httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=request.target),
            headers=headers,
            content=request.body,
            extensions={"timeout": self._timeout, "trace": connection},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in tuple(self._open):
            await self._close(pool)


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url)
    name = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return httpcore.Proxy(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", auth=name)


class _Trace:
    """Notes whether the first byte of the request was about to be written (httpcore's trace extension)."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event == "http11.send_request_headers.started":
            # A proxy's CONNECT carries nothing of the app's.
            self.sent = info["request"].method != b"CONNECT"


class _HttpxStream(PulledResponse):
    __slots__ = ("_close", "_response")

    broken = _BROKEN

    def __init__(self, response: httpcore.Response, close: Callable[[], Awaitable[None]]) -> None:
        pieces = response.aiter_stream()
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.headers]
        self.left = None
        self._next = lambda: anext(pieces, None)
        self._response = response
        self._close = close

    async def finish(self) -> None:
        try:
            await self._response.aclose()
        finally:
            await self._close()

    async def discard(self) -> None:
        await self.finish()


def _failure(error: Exception, *, sent: bool) -> failures.GatewayError:
    if not sent:
        return failures.UpstreamUnreachable(
            "The upstream cannot be reached.", inner=_connect_cause(error), retry_after=1
        )
    if isinstance(error, httpcore.RemoteProtocolError) and _NO_RESPONSE not in str(error):
        return failures.BadUpstreamResponse("The upstream's answer is not valid HTTP.")
    if isinstance(error, httpcore.LocalProtocolError):
        return failures.RequestInvalid("The request has a header that cannot be forwarded.")
    return failures.UpstreamConnectionLost(LOST)


def _connect_cause(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "ConnectTimeout"
    text = str(error)
    if "Name or service" in text or "getaddrinfo" in text or "resolution" in text:
        return "NameResolution"
    if "SSL" in text or "certificate" in text:
        return "Tls"
    return "ConnectionRefused" if "refused" in text or "attempts failed" in text else "Connect"
