"""The fast engine: HTTP/1.1 on the event loop itself, written for what a gateway does.

No other thread and no turn of the loop is between a request and its connection, so it costs some half of what
the same takes with a client in a thread of its own. It adds nothing, and writes byte for byte what it is
given; heads are judged before anything of them is believed; a connection is used again only where nothing of
the last exchange is to come. A request that is given up takes its connection with it at once.
"""

from collections.abc import Sequence

from gateway import failures, headers
from gateway.upstream.connection import Connection
from gateway.upstream.dialling import Dialler
from gateway.upstream.pool import Pool
from gateway.upstream.response import Response
from gateway.upstream.round_trip import Outbound, check_target
from gateway.upstream.wire_response import WireResponse

_ANTICIPATE_A_BODY = frozenset({"POST", "PUT", "PATCH"})
_Lines = Sequence[tuple[bytes, bytes]]


class AsyncioEngine:
    """Sends to one origin, over kept connections."""

    name = "asyncio"

    def __init__(
        self, dialler: Dialler, pool: Pool, *, prefix: bytes = b"", proxy_credentials: bytes = b""
    ) -> None:
        """`prefix` is scheme and authority, where a proxy is told both with each request."""
        self._dialler = dialler
        self._pool = pool
        self._prefix = prefix
        self._for_proxy = [(b"proxy-authorization", proxy_credentials)] if proxy_credentials else []

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        body = request.body
        length, framing = (None, ()) if body is None and request.method == "GET" else _framing(request)
        head = self._head(request, framing)
        connection = self._pool.take()
        if connection is None:
            connection = await self._dial()
        response = WireResponse(connection, request.method)
        connection.reader = response
        try:
            if body is None or isinstance(body, bytes):
                connection.transport.write(head + body if body else head)
            else:
                connection.transport.write(head)
                response.send_body(body, length)
            await response.opened()
        except BaseException:
            await response.discard()
            raise
        return response

    async def _dial(self) -> Connection:
        connection = self._pool.new()
        await self._dialler.connect(connection)
        if connection.closed:
            raise failures.UpstreamUnreachable(
                "The upstream has closed the connection before anything was sent.", retry_after=1
            )
        self._pool.opened(connection)
        return connection

    def _head(self, request: Outbound, framing: _Lines) -> bytes:
        """The head as it goes out. Raises RequestInvalid where that would be read as something else."""
        target = request.target
        check_target(target)
        lines = request.headers
        if framing or self._for_proxy:
            lines = [*lines, *framing, *self._for_proxy]
        ends = len(lines) + 2
        credential = b""
        if request.authorization is not None:
            credential = b"\r\nauthorization: " + request.authorization.encode("ascii")
            ends += 1
        head = b"%b %b%b HTTP/1.1\r\n%b%b\r\n\r\n" % (
            request.method.encode("ascii"),
            self._prefix,
            target,
            b"\r\n".join(map(b": ".join, lines)),
            credential,
        )
        # Whatever stood in a header or the target, no line has become two.
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head or b" " in target:
            raise failures.RequestInvalid("The request has a header that cannot be forwarded.")
        return head

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


def _framing(request: Outbound) -> tuple[int | None, _Lines]:
    """The body's length, where it is known, and what has to be added to say it (RFC 9112, section 6).

    Raises RequestInvalid where the headers say something else: what is left over would be a request.
    """
    body = request.body
    known = len(body) if isinstance(body, bytes) else 0 if body is None else None
    said = headers.first(request.headers, b"content-length")
    if said is not None:
        if not said.isdigit() or known not in {None, int(said)}:
            raise failures.RequestInvalid("The request has a body of another length than it says.")
        return int(said), ()
    if known is None:
        return None, ((b"transfer-encoding", b"chunked"),)
    if body is None and request.method not in _ANTICIPATE_A_BODY:
        return 0, ()
    return known, ((b"content-length", b"%d" % known),)
