"""The app's side: read scope and body, relay with back-pressure, notice a client that left, cut honestly.

ASGI ends here: the other rooms see an `Exchange`, bytes and awaitables.
"""

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

from gateway import failures
from gateway.arrival import CONNECTION, REFUSAL, Connection, Message, Receive, Scope, Send
from gateway.bodies import Body, Readable, read_up_to
from gateway.config import Limits
from gateway.cycle import NO_BODY_STATUS, SENT
from gateway.deadline import rest_of, within
from gateway.exchange import Exchange, RawHeaders
from gateway.upload import Upload

__all__ = ["Downstream", "Upload"]

Result = TypeVar("Result")
Piece = bytes | None

_GIVEN_UP_WITH_THE_CLIENT = frozenset({"GET", "HEAD"})


class Downstream:
    """One exchange's connection to the app."""

    failure: BaseException | None = None
    """What went wrong while the app's body was read: the cause of an engine's failure to send it."""
    response_started = False
    body_finished = False
    """Whether nothing is left to be read of the request: all of its body was read, or it has none."""
    _body: "bytes | Upload | None" = None
    _racing: bool | None = None
    """Whether what is raced has not gone to the upstream yet; None while nothing is."""
    _given_up = False

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, exchange: Exchange, limits: Limits
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._exchange = exchange
        self._limits = limits
        self._connection: Connection = scope[CONNECTION]
        self._connection.on_lost = self._lost
        exchange.client_left = self._connection.lost

    async def body(self) -> "bytes | Upload | None":
        """The request's body: None where there is none, bytes up to `limits.replay_body`, else the stream.

        May be asked for again. Raises RequestTooLarge, RequestTimeout, RequestInvalid or ClientLeft.
        """
        if self._body is None and not self.body_finished:
            self._body = await self._read_body()
        return self._body

    @property
    def has_body(self) -> bool:
        """Whether the request has a body, be it an empty one."""
        fields = self._exchange.fields
        return b"content-length" in fields or b"transfer-encoding" in fields

    async def _read_body(self) -> "bytes | Upload":
        length = self._exchange.header(b"content-length")
        limit = self._limits.request_body
        if limit is not None and length is not None and int(length) > limit:
            raise _too_large(limit)
        if length is not None and int(length) > self._limits.replay_body:
            return Upload(self, b"")
        start = bytearray()
        while not self.body_finished:
            start += await self.next_piece()
            if len(start) > self._limits.replay_body:
                return Upload(self, bytes(start))
        return bytes(start)

    async def next_piece(self) -> bytes:
        """The next piece of the body, b"" for an empty one; sets the end of the body where it is reached."""
        waiting = time.perf_counter()
        try:
            message = await within(self._limits.body_idle, self._receive())
        except TimeoutError:
            raise failures.RequestTimeout(
                "The request body did not come in time (limits.body_idle)."
            ) from None
        finally:
            self._exchange.app_wait += time.perf_counter() - waiting
        if message["type"] == "http.disconnect":
            # The server also says so once a response is complete that came before the body's end.
            self._exchange.client_left = self._connection.lost
            raise failures.ClientLeft
        self.check()
        piece: bytes = message.get("body", b"")
        self._exchange.bytes_in += len(piece)
        limit = self._limits.request_body
        if limit is not None and self._exchange.bytes_in > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            self.body_finished = True
        return piece

    def check(self) -> None:
        """Raise the failure the server's protocol left for this request, if any."""
        refusal = self._scope.get(REFUSAL)
        if refusal is not None:
            raise refusal

    async def race(self, call: Coroutine[Any, Any, Result], *, unsent: bool = False) -> Result:
        """Await `call`, but give it up when the client leaves and nothing would be lost by that.

        A write that was fully sent runs to its end, so that its outcome is logged and counted; `unsent` says
        that it has not gone to the upstream yet, so that it need not go at all. Raises ClientLeft.
        """
        if self._exchange.client_left and (unsent or self._gives_up()):
            call.close()
            raise failures.ClientLeft
        outer, self._racing = self._racing, unsent
        try:
            return await call
        except asyncio.CancelledError:
            # Where somebody else has cancelled the exchange as well, that stands.
            task = self._connection.task
            if self._given_up and task is not None and not task.uncancel():
                raise failures.ClientLeft from None
            raise
        finally:
            self._racing = outer

    def _gives_up(self) -> bool:
        return not self.body_finished or self._exchange.method in _GIVEN_UP_WITH_THE_CLIENT

    def _lost(self) -> None:
        self._exchange.client_left = True
        unsent, task = self._racing, self._connection.task
        if task is not None and unsent is not None and (unsent or self._gives_up()):
            self._given_up = True
            task.cancel()

    async def relay(self, status: int, headers: RawHeaders, body: Readable, announced: int | None) -> None:
        """Send the response as its pieces come; `announced` is its Content-Length, where it has one.

        A piece that is at hand goes with the head. Each waits until the app has taken the one before, at most
        `limits.slow_reader`. A body that was announced ends with its last byte: to ask for the end as well
        would cost as much as the last piece. Raises ClientLeft where nobody is left to read it.
        """
        exchange = self._exchange
        exchange.status = status
        unsaid = status in NO_BODY_STATUS or exchange.method == "HEAD"
        if announced is None or unsaid:
            headers, body, announced = await self._framed(status, headers, body, announced)
        message: Message = {"type": "http.response.start", "status": status, "headers": headers}
        more = True
        whole = body.take() if isinstance(body, Body) else None
        while more:
            if exchange.client_left and self._gives_up():
                raise failures.ClientLeft
            piece, whole = whole, None
            if piece is None:
                piece, message = await self._piece(body, message)
            if piece is None:
                piece, more = b"", False
            elif unsaid:
                continue
            else:
                exchange.bytes_out += len(piece)
                more = exchange.bytes_out != announced
            message["body"], message["more_body"] = piece, more
            sending = self._send(message)
            if sending is not SENT:
                await self._taken(sending)
            self.response_started = True
            message = {"type": "http.response.body"}
        self.close()

    async def _framed(
        self, status: int, headers: RawHeaders, body: Readable, announced: int | None
    ) -> tuple[RawHeaders, Readable, int | None]:
        """Headers, body and length of a response that has no length, or no body."""
        if status in NO_BODY_STATUS:
            # A server must not announce a length for these here: uvicorn would wait for that many bytes.
            headers = [pair for pair in headers if pair[0] != b"content-length"]
        elif announced is None and self._exchange.http_version == "1.0" and self._exchange.method != "HEAD":
            # The server would use chunks, which HTTP/1.0 does not know.
            read = await self.race(read_up_to(body, self._limits.observed_body))
            if read.whole is None:
                raise failures.BadUpstreamResponse(
                    "The response has no length and is too large for HTTP/1.0 (limits.observed_body)."
                )
            body, announced = read, len(read.whole)
            headers = [*headers, (b"content-length", b"%d" % announced)]
        return headers, body, announced

    async def _piece(self, body: Readable, message: Message) -> tuple[Piece, Message]:
        """The next piece, and the message that it goes with: the head's, unless that could not wait."""
        steps = body.read().__await__()
        try:
            waiting = steps.send(None)
        except StopIteration as done:
            return done.value, message
        except Exception:
            await self._begin(message)
            raise
        return await self._arrival(message, steps, waiting), {"type": "http.response.body"}

    async def _arrival(self, head: Message, steps: Generator[Any, Any, Piece], waiting: Any) -> Piece:
        """The piece that `steps` wait for; the head goes before it."""
        try:
            await self._begin(head)
            return await self.race(_rest(steps, waiting))
        finally:
            steps.close()

    async def _begin(self, head: Message) -> None:
        if not self.response_started:
            sending = self._send(head)
            if sending is not SENT:
                await self._taken(sending)
            self.response_started = True

    async def _taken(self, sending: Awaitable[None]) -> None:
        """Wait until the app has taken what is sent."""
        waiting = time.perf_counter()
        try:
            await within(self._limits.slow_reader, sending)
        except TimeoutError:
            # Closed politely, the connection would last until the app has taken what is buffered.
            self._connection.abort()
            raise failures.ResponseCut("The app did not take the response in time.") from None
        finally:
            self._exchange.app_wait += time.perf_counter() - waiting

    def close(self) -> None:
        """Stop listening for the client's end; the next request on the connection may listen already."""
        if self._connection.on_lost == self._lost:
            self._connection.on_lost = None


async def _rest(steps: Generator[Any, Any, Piece], waiting: Any) -> Piece:
    return await rest_of(steps, waiting)


def _too_large(limit: int) -> failures.RequestTooLarge:
    return failures.RequestTooLarge(f"The request body is over {limit} bytes (limits.request_body).")
