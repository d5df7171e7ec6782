"""One request in the server: its body's way to the application, and the response's way back.

uvicorn's cycle has an event for each request; here one is made for who has to wait. uvicorn looks at every
header with two patterns, for applications that may send anything. What comes here was judged already, by
`upstream` or by the rooms that made it; that it stays within its line is looked at once for the whole head.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

NO_BODY_STATUS = frozenset({204, 304})
"""Answers that have no body, whatever they say (RFC 9110, section 6.4.1)."""
SILENT = logging.getLogger("gateway.protocol")
"""What uvicorn would log (a cut response, a bad request) is told by the exchange's own log line."""
SILENT.setLevel(logging.CRITICAL + 1)
Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
Tasks = set[asyncio.Task[None]]
_STATUS = {status: line.removesuffix(b"\r\n") for status, line in STATUS_LINE.items()}
_LINE = b": ".join
_JOINED = 16_384
"""Largest piece of a body in bytes that is copied to go with the head; another is a write of its own."""
_CHUNKED = -1
"""How many bytes are left is not known."""
_UNSAID = -2
"""The body is none, as it is that of the answer to a HEAD."""


class _Sent(Awaitable[None]):
    """What there is to await of a message that was written at once: nothing."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from ()


SENT = _Sent()


class Transport(Protocol):
    """The connection to the app."""

    def write(self, data: bytes) -> None:
        """Send at once."""

    def write_last(self, data: bytes) -> None:
        """Send the end of a response, which may wait for the next turn of the loop."""

    def close(self) -> None:
        """Send what was written, and end."""

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""


class Cycle:
    """One request and its response; header names are in lower case."""

    __slots__ = (
        "_body", "_left", "_news", "_told", "disconnected", "flow", "keep_alive", "more_body", "on_response",
        "response_complete", "response_started", "scope", "task", "transport", "waiting_for_100_continue",
    )  # fmt: skip
    task: asyncio.Task[None]
    """Runs the application; set by who made it."""
    _left: int
    """Bytes of the announced length that are to come, or one of the two below; set with the head."""

    def __init__(
        self,
        scope: Message,
        transport: Transport,
        flow: FlowControl,
        expects_continue: bool,
        keep_alive: bool,
        more_body: bool,
        on_response: Callable[[], None],
    ) -> None:
        """`on_response` is called when the response is complete."""
        self.scope = scope
        self.transport = transport
        self.flow = flow
        self.waiting_for_100_continue = expects_continue
        self.keep_alive = keep_alive
        self.more_body = more_body
        self.on_response = on_response
        self._body: bytearray | None = None
        self._told: asyncio.Event | None = None
        self._news = not more_body
        self.disconnected = self.response_started = self.response_complete = False

    async def run(self, app: Application, tasks: Tasks) -> None:
        """Have it answered; an application that does not gets 500 sent, or the response cut.

        Nothing is logged: the exchange's own log line tells it. The task leaves `tasks` at the end.
        """
        try:
            await app(self.scope, self.receive, self.send)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the end of the drain cancels
            await self._break_off()
        else:
            if not self.response_complete:
                await self._break_off()
        finally:
            # Else the protocol, which may keep the cycle, would hold itself in memory.
            self.on_response = _nobody
            # A callback of the task's would take another turn of the loop.
            tasks.discard(self.task)

    async def _break_off(self) -> None:
        if self.response_started:
            self.transport.close()
            return
        text = b"Internal Server Error"
        kind, length = (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))
        headers = [kind, length, (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": text, "more_body": False})

    async def receive(self) -> Message:
        """Wait for a piece of the body, or for the client to leave (ASGI)."""
        if self.waiting_for_100_continue and not self.response_started and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            if not self._news:
                self._told = self._told or asyncio.Event()
                await self._told.wait()
            self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": bytes(body or b""), "more_body": self.more_body}

    def take(self, piece: bytes) -> None:
        """Keep a piece of the body for the application; read no more where it has enough."""
        if self._body is None:
            self._body = bytearray()
        self._body += piece
        if len(self._body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.tell()

    def tell(self) -> None:
        """Have `receive` look again."""
        self._news = True
        if self._told is not None:
            told, self._told = self._told, None
            told.set()

    def send(self, message: Message) -> Awaitable[None]:
        """Write a head or a piece of a body (ASGI): at once, or when the connection takes more.

        A head may have a first piece of the body beside it, as `body` and `more_body`; unless that is large,
        both are one write. Where it was written at once the result is `SENT`, which need not be awaited:
        what is needed to wait costs more than to write.
        """
        if self.disconnected:
            return SENT
        if self.flow.write_paused:
            return self._send_later(message)
        if self.response_started:
            if message["type"] != "http.response.body" or self.response_complete:
                raise RuntimeError(f"{message['type']} behind the head, or behind the end")
            data, more = b"", message.get("more_body", False)
        else:
            data, more = self._head(message), message.get("more_body", True)
        body = message.get("body", b"")
        left = self._left
        if left >= 0:
            self._left = left = left - len(body)
            if left < 0 or (left and not more):
                raise RuntimeError("the body is not as long as its Content-Length")
            data += body
        elif left == _CHUNKED:
            data += self._chunk(body, more)
        if not more:
            self._end(data)
        elif data:
            self.transport.write(data)
        return SENT

    async def _send_later(self, message: Message) -> None:
        await self.flow.drain()
        await self.send(message)

    def _head(self, message: Message) -> bytes:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"{message['type']} does not begin a response")
        self.response_started = True
        status, headers = message["status"], message.get("headers", ())
        lines, fields = [_STATUS[status], *map(_LINE, headers)], dict(headers)
        if self.scope["method"] == "HEAD":
            self._left = _UNSAID
        elif b"transfer-encoding" in fields:
            self._left = _CHUNKED
        elif b"content-length" in fields:
            self._left = int(fields[b"content-length"])
        elif status not in NO_BODY_STATUS:
            self._left = _CHUNKED
            lines.append(b"transfer-encoding: chunked")
        else:
            self._left = 0
        if b"connection" in fields:
            self.keep_alive = self.keep_alive and fields[b"connection"] != b"close"
        elif not self.keep_alive:
            lines.append(b"connection: close")
        lines.append(b"\r\n")
        head = b"\r\n".join(lines)
        # Each line has a break of its own behind it, the last one two, and there is no other.
        if not head.count(b"\r") == head.count(b"\n") == len(lines):
            raise RuntimeError("a response header has a line break")
        if len(message.get("body", b"")) > _JOINED:
            self.transport.write(head)
            return b""
        return head

    def _chunk(self, body: bytes, more: bool) -> bytes:
        framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return framed if more else framed + b"0\r\n\r\n"

    def _end(self, data: bytes) -> None:
        if data:
            self.transport.write_last(data)
        self.response_complete = True
        if self._told is not None:
            self.tell()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _nobody() -> None:
    """Nobody is told that a response is complete."""
