"""The fast engine: HTTP/1.1 on the event loop itself, written for what a gateway does.

No other thread and no turn of the loop is between a request and its connection. It adds nothing, and writes
byte for byte what it is given; heads are judged before anything of them is believed; a connection is used
again only where nothing of the last exchange is to come. A request that is given up takes its connection
with it at once.
"""

import re
from operator import itemgetter

from gateway import failures
from gateway.headers import DIGITS, FRAMING
from gateway.upstream.connection import Connection
from gateway.upstream.dialling import Dialler
from gateway.upstream.pool import Pool
from gateway.upstream.response import Response
from gateway.upstream.round_trip import Outbound, check_target
from gateway.upstream.wire_response import WireResponse

_ANTICIPATE_A_BODY = frozenset({"POST", "PUT", "PATCH"})
_LARGE = 65_536
"""Bytes of a body that a connection takes without the upstream having read any."""
_NOT_FORWARDED = "The request has a header that cannot be forwarded."
_FIRST = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.1\r\n").match
_name = itemgetter(0)
_Lines = tuple[tuple[bytes, bytes], ...]
_NOTHING: _Lines = ()


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
        self._for_proxy: _Lines = (
            ((b"proxy-authorization", proxy_credentials),) if proxy_credentials else _NOTHING
        )

    async def send(self, request: Outbound) -> Response:
        """As `Engine.send`."""
        body = request.body
        head, length = self._head(request)
        connection = self._pool.take()
        if connection is None:
            connection = await self._dial()
        large = body is not None and (not isinstance(body, bytes) or len(body) > _LARGE)
        response = WireResponse(connection, request.method, large=large)
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
        self._pool.opened(connection)
        if connection.closed:
            self._pool.forget(connection)
            raise failures.UpstreamUnreachable(
                "The connection was closed before anything was sent.", retry_after=1
            )
        return connection

    def _head(self, request: Outbound) -> tuple[bytes, int | None]:
        """The head as it goes out, and the body's length, where that is known.

        Raises RequestInvalid where it would be read as something else.
        """
        target, lines = request.target, request.headers
        check_target(target)
        fields = b"\r\n".join(map(b": ".join, lines))
        plain = request.body is None and request.method == "GET" and FRAMING.isdisjoint(map(_name, lines))
        length, added = (0, _NOTHING) if plain else _framing(request)
        added = (*added, *self._for_proxy) if self._for_proxy else added
        try:
            if request.authorization is not None:
                added = (*added, (b"authorization", request.authorization.encode("ascii")))
            method = request.method.encode("ascii")
        except UnicodeError:
            raise failures.RequestInvalid(_NOT_FORWARDED) from None
        if added:
            fields = b"\r\n".join((fields, *map(b": ".join, added)))
        head = b"%b %b%b HTTP/1.1\r\n%b\r\n\r\n" % (method, self._prefix, target, fields)
        ends = len(lines) + len(added) + 2
        # Whatever stood in a header or the first line, no line has become two, and the first has three parts.
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head or not _FIRST(head):
            raise failures.RequestInvalid(_NOT_FORWARDED)
        return head, length

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


def _framing(request: Outbound) -> tuple[int | None, _Lines]:
    """The body's length, where it is known, and what has to be added to say it (RFC 9112, section 6).

    Raises RequestInvalid where the headers say something else: what is left over would be a request.
    """
    body = request.body
    known = len(body) if isinstance(body, bytes) else 0 if body is None else None
    said = [value for name, value in request.headers if name == b"content-length"]
    if said:
        good = len(said) == 1 and said[0].isdigit() and len(said[0]) <= DIGITS
        if not good or known not in {None, int(said[0])}:
            raise failures.RequestInvalid("The request has a body of another length than it says.")
        return int(said[0]), _NOTHING
    if any(name == b"transfer-encoding" for name, _ in request.headers):
        raise failures.RequestInvalid(_NOT_FORWARDED)
    if known is None:
        return None, ((b"transfer-encoding", b"chunked"),)
    if body is None and request.method not in _ANTICIPATE_A_BODY:
        return 0, _NOTHING
    return known, ((b"content-length", b"%d" % known),)
