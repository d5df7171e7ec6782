"""A response as the asyncio engine reads it: its head checked, its body piece by piece."""

import asyncio
from collections.abc import Awaitable

from gateway import failures
from gateway.deadline import Alarm
from gateway.exchange import RawHeaders
from gateway.headers import DIGITS
from gateway.upstream.chunked_body import BadChunk, ChunkedBody
from gateway.upstream.connection import Connection
from gateway.upstream.response import BROKEN, LOST, STALLED, Response
from gateway.upstream.response_head import BadHead, ResponseHead, whole_head
from gateway.upstream.round_trip import Upload

_FIRST_ERROR = 400
_WITHOUT_BODY = frozenset({204, 304})
_WAITING = 1
"""Pieces of the body, each of what one read of the socket gave, that may wait for whoever takes them."""


class WireResponse(Response):
    """The response to the request that was written last on its connection; see `Response`."""

    __slots__ = (
        "_arrived", "_chunks", "_complete", "_connection", "_failure", "_head", "_large", "_method",
        "_opened", "_paused", "_pieces", "_reusable", "_sent", "_upload",
    )  # fmt: skip

    def __init__(self, connection: Connection, method: str, *, large: bool = False) -> None:
        """`large`: whether the request's body may still be on its way when an answer comes."""
        self._connection = connection
        self._method = method
        self._large = large
        self._sent = True
        """Whether all of the request was written."""
        self._head: ResponseHead | None = None
        """Where the head did not come in one piece."""
        self._opened = False
        """Whether it is here."""
        self._arrived: asyncio.Future[None] | None = None
        """Whoever waits for the head, a piece or the end."""
        self._pieces: list[bytes] = []
        self._paused = False
        self._chunks: ChunkedBody | None = None
        self._complete = False
        """Whether the last byte has come."""
        self._reusable = False
        self._failure: failures.GatewayError | None = None
        self._upload: asyncio.Future[None] | None = None
        """Writes the request's body, where it is still coming from the app."""

    async def opened(self) -> None:
        """Wait for the head. Raises BadUpstreamResponse, KeptConnectionLost or UpstreamConnectionLost."""
        while not self._opened:
            if self._failure is not None:
                raise self._failure
            await self._change()

    def _change(self) -> "asyncio.Future[None]":
        self._arrived = self._connection.loop.create_future()
        return self._arrived

    def feed(self, data: bytes) -> None:
        """As `Reader.feed`."""
        if not self._opened:
            rest = self._feed_head(data)
            if rest is None:
                return
            data = rest
        elif self._complete or self._failure is not None:
            self._reusable = False
            return
        if data:
            self._feed_body(data)
        self._wake()

    def _feed_head(self, data: bytes) -> bytes | None:
        """What follows the head; None where there is no whole one yet."""
        try:
            whole = whole_head(data) if self._head is None else None
            if whole is not None:
                self.status, self.headers, rest = whole
                self._frame(old=False)
                return rest
            head = self._head = self._head or ResponseHead()
            found = head.feed(data)
        except BadHead as error:
            self._fail(failures.BadUpstreamResponse(f"The upstream's answer is not valid HTTP: {error}."))
            return None
        if found is not None:
            self.status, self.headers = head.status, head.headers
            self._frame(old=head.old)
        return found

    def _frame(self, *, old: bool) -> None:
        """What frames the body (RFC 9112, section 6.3); who reads the head refuses what is ambiguous."""
        self._opened = True
        fields = dict(self.headers)
        length = fields.get(b"content-length")
        self._reusable = not old and (b"connection" not in fields or not _closes(self.headers))
        if self._large and self.status >= _FIRST_ERROR:
            # Whoever answers without having read all may never read the rest.
            self._reusable = False
        if self._method == "HEAD" or self.status in _WITHOUT_BODY:
            self.left = 0
            # A body that should not be there would be the next request's answer, if it comes late.
            self._reusable &= self._method != "HEAD" and length in {None, b"0"}
            self._reusable &= b"transfer-encoding" not in fields
        elif b"transfer-encoding" in fields:
            self.left = None
            self._chunks = ChunkedBody()
        elif length is not None and length.isdigit() and len(length) <= DIGITS:
            self.left = int(length)
        else:
            self.left, self._reusable = None, False
        self._complete = self.left == 0

    def _feed_body(self, data: bytes) -> None:
        left = self.left
        if left is not None:
            if len(data) > left:
                data, self._reusable = data[:left], False
            self.left = left = left - len(data)
            self._complete = not left
        elif self._chunks is not None:
            try:
                data = self._chunks.feed(data)
            except BadChunk:
                self._fail(failures.UpstreamConnectionLost(BROKEN))
                return
            self._complete = self._chunks.ended
            self._reusable &= not self._chunks.surplus
        if data:
            self._pieces.append(data)
            if len(self._pieces) > _WAITING and not self._complete:
                self._paused = True
                self._connection.transport.pause_reading()

    def ended(self, *, properly: bool) -> None:
        """As `Reader.ended`."""
        if self._complete or self._failure is not None:
            return
        if self._opened:
            if properly and self.left is None and self._chunks is None:
                self._complete = True
            else:
                self._failure = failures.UpstreamConnectionLost(BROKEN)
        else:
            kept = self._connection.used and self._head is None
            lost = failures.KeptConnectionLost if kept else failures.UpstreamConnectionLost
            self._failure = lost(LOST)
        self._wake()

    def _fail(self, failure: failures.GatewayError) -> None:
        self._failure = self._failure or failure
        self._connection.abort()
        self._wake()

    def _wake(self) -> None:
        arrived, self._arrived = self._arrived, None
        if arrived is not None and not arrived.done():
            arrived.set_result(None)

    def whole(self) -> bytes | None:
        """As `Response.whole`."""
        if not self._complete or len(self._pieces) > 1:
            return None
        return self._pieces.pop() if self._pieces else b""

    def is_at_hand(self) -> bool:
        """As `Response.is_at_hand`."""
        if self._pieces:
            self.piece = self._pieces.pop(0)
            if self._paused and not self._pieces:
                self._paused = False
                self._connection.transport.resume_reading()
            return True
        if self._complete:
            self.piece = None
            return True
        if self._failure is not None:
            raise self._failure
        return False

    async def arrival(self) -> bytes | None:
        """As `Response.arrival`."""
        try:
            with Alarm(self.idle):
                while not self.is_at_hand():
                    await self._change()
        except TimeoutError:
            raise failures.UpstreamTimeout(STALLED) from None
        return self.piece

    def finish(self) -> Awaitable[None] | None:
        """As `Response.finish`: the connection is kept where nothing of this exchange is to come."""
        connection = self._connection
        if not (self._complete and self._reusable and self._sent and connection.is_free):
            return self.discard()
        if self._paused:
            connection.transport.resume_reading()
        connection.free()
        return None

    async def discard(self) -> None:
        """As `Response.discard`."""
        self._connection.reader = None
        self._connection.abort()
        if self._upload is not None:
            self._upload.cancel()
            await asyncio.wait((self._upload,))

    def send_body(self, upload: Upload, length: int | None) -> None:
        """Write the request's body as it comes, behind its head; it goes on until the response is closed."""
        self._sent = False
        self._upload = asyncio.ensure_future(self._connection.upload(upload, length))
        self._upload.add_done_callback(self._uploaded)

    def _uploaded(self, upload: "asyncio.Future[None]") -> None:
        if upload.cancelled():
            return
        self._sent = upload.exception() is None
        if not self._sent and self._connection.reader is self:
            # Whoever gave the body knows what is wrong with it.
            self._fail(failures.UpstreamConnectionLost("The request's body broke off."))


def _closes(headers: RawHeaders) -> bool:
    return any(name == b"connection" and b"close" in value.lower() for name, value in headers)
