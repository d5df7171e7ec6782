"""A request's way back: uvicorn's cycle, with responses written as they are.

uvicorn looks at every header with two patterns, for applications that may send anything. What comes here was
judged already, by `upstream` or by the rooms that made it; that it stays within its line is looked at once
for the whole head.
"""

import asyncio
import logging
from collections.abc import Callable

from uvicorn._types import ASGISendEvent, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from gateway.exchange import RawHeaders

NO_BODY_STATUS = frozenset({204, 304})
"""Answers that have no body, whatever they say (RFC 9110, section 6.4.1)."""
SILENT = logging.getLogger("gateway.protocol")
"""What uvicorn would log (a cut response, a bad request) is told by the exchange's own log line."""
SILENT.setLevel(logging.CRITICAL + 1)
_LINE = b"%b: %b\r\n".__mod__


class Cycle(RequestResponseCycle):
    """One request and its response; header names are in lower case."""

    def __init__(
        self,
        scope: HTTPScope,
        transport: asyncio.Transport,
        flow: FlowControl,
        *,
        default_headers: RawHeaders,
        expects_continue: bool,
        keep_alive: bool,
        on_response: Callable[[], None],
    ) -> None:
        """`on_response` is called when the response is complete."""
        super().__init__(
            scope=scope,
            transport=transport,
            flow=flow,
            logger=SILENT,
            access_logger=SILENT,
            access_log=False,
            default_headers=default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects_continue,
            keep_alive=keep_alive,
            on_response=on_response,
        )

    async def send(self, message: ASGISendEvent) -> None:
        """Write a head or a piece of a body (ASGI), once the connection takes more."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._send_head(message["status"], [*self.default_headers, *message.get("headers", ())])
        elif message["type"] == "http.response.body":
            self._send_piece(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} is no part of a response")

    def _send_head(self, status: int, headers: RawHeaders) -> None:
        if self.response_started:
            raise RuntimeError("the response has begun already")
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status], *map(_LINE, headers)]
        fields = dict(headers)
        if b"transfer-encoding" in fields:
            self.chunked_encoding = True
        elif b"content-length" in fields:
            self.expected_content_length = int(fields[b"content-length"])
            self.chunked_encoding = False
        if fields.get(b"connection") == b"close":
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in NO_BODY_STATUS:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join([*lines, b"\r\n"])
        if not head.count(b"\r") == head.count(b"\n") == len(lines) + 1:
            raise RuntimeError("a response header has a line break")
        self.transport.write(head)

    def _send_piece(self, body: bytes, *, more: bool) -> None:
        if not self.response_started or self.response_complete:
            raise RuntimeError("a piece of a body before the head, or behind the end")
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.transport.write(framed if more else framed + b"0\r\n\r\n")
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its Content-Length")
            if body:
                self.transport.write(body)
        if not more:
            self._end()

    def _end(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("the body is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
