"""The server's HTTP/1.1 protocol, made strict: what it cannot read becomes a refusal that the story tells.

uvicorn's own protocol answers bad input with plain text, forgives much of it, and has no limit on a head's
size or time. This subclass keeps of it what sends responses, and reads requests with `RequestReader`. A
refused request still runs through the app, with a `GatewayError` in its scope, so that there is one place
that writes errors, and every refusal is logged, counted and traced like any other exchange.
"""

import asyncio
from collections import deque
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway import failures
from gateway.arrival import REFUSAL, Connection, Scope, http_scope
from gateway.awaiting import Awaiting
from gateway.callers import read_peer
from gateway.cycle import SILENT, Cycle
from gateway.flow import Flow
from gateway.lingering import Lingering
from gateway.reader import RequestReader
from gateway.request_line import UNREAD

_PIPELINE = 64
"""Requests that may wait behind the one under way; one read of a socket can hold thousands."""
_READING_HEAD = 0
_READING_BODY = 1
_CLOSED = 2


class StrictProtocol(Awaiting):
    """One connection."""

    __slots__ = ("_connection", "_reader", "_reading")
    cycle: Cycle  # type: ignore[assignment]  # None between requests, as uvicorn has it
    pipeline: deque[Cycle]  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # uvicorn's own parser is not used; with it the connection would hold itself in memory.
        self.parser = None  # type: ignore[assignment]
        self.logger = SILENT
        self._reader = RequestReader(
            head_bytes=self.limits_.head_bytes, header_count=self.limits_.header_count
        )
        self._reading = _READING_HEAD
        self._heard = False
        self._head_deadline = None
        self._idle_since = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; uvicorn would wait for ever."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.transport = Lingering(
            transport,
            unread=self._is_unread,
            drop=self._drop,
            patience=self.limits_.slow_reader,
            under_way=self.tasks,
            later=self.replies.add,
        )
        self._connection = Connection(
            transport.abort,
            read_peer(transport),
            scheme=self.scheme or "http",
            server=self.server,
            client=self.client,
        )
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Have it read in turns."""
        if self._reading != _CLOSED:
            self._heard = True
            self.flow.take(data, self._read)

    def eof_received(self) -> None:
        """Send what is kept: after this the connection closes itself, without `transport.close`."""
        self.transport.send_kept()

    def _read(self, data: bytes, at: int) -> int:
        """Feed the reader for one turn; what it cannot read is refused, once, and ends the connection."""
        try:
            at = self._reader.feed(data, self, at)
        except failures.GatewayError as failure:
            self._refuse(failure)
            return len(data)
        if self._reader.in_head:
            self._idle_since = None
            if self._head_deadline is None:
                self._await_head()
        return at

    def on_head(self, has_body: bool) -> None:
        """Hand the request to the app, if its target is in origin form (RFC 9112, section 3.2.1)."""
        if self._head_deadline is not None:
            self._clear_head_deadline()
        self._idle_since = None
        reader = self._reader
        line = reader.line
        if not line.in_origin_form:
            raise _misdirected(line.method)
        if self.pipeline and len(self.pipeline) >= _PIPELINE:
            raise failures.RequestInvalid(f"More than {_PIPELINE} requests wait on this connection.")
        if has_body:
            self._reading = _READING_BODY
        scope = http_scope(self._connection, line, reader.headers)
        self._take(scope, reader.expects_continue, not reader.last, has_body)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; nobody waits for it once the response is complete."""
        if not self.cycle.response_complete:
            self.cycle.take(body)

    def on_end(self) -> None:
        """End the request; the next head on this connection gets its own deadline."""
        self._reading = _READING_HEAD
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.tell()

    def on_response_complete(self) -> None:
        """Go on with what was pipelined; uvicorn would read more for each answer, and pile it up."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._serve(self.pipeline.pop())
            if self.pipeline:
                self.flow.pause_reading()
                return
        else:
            # Nothing is kept of a request that is over, but of an answer that came before its body's end.
            if not self.cycle.more_body:
                self.cycle = None  # type: ignore[assignment]
            self._await_request()
            self._ends()
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self._head_deadline is not None:
            # The next head has begun: it could not come while reading was paused, and is not idle time.
            self._idle_since = None
            self._clear_head_deadline()
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._clear_head_deadline()
        self._reading = _CLOSED
        self.flow.forget()
        self._connection.lost = True
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        if self.cycle is not None:
            self.cycle.disconnected = not self.cycle.response_complete
            self.cycle.tell()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        if self._connection.on_lost is not None:
            self._connection.on_lost()

    def _is_unread(self) -> bool:
        unread = self._reading != _READING_HEAD or self._reader.surplus or self.flow.held
        return unread and not self._connection.lost

    def _drop(self) -> None:
        self._reading = _CLOSED
        self.flow.forget()
        self.flow.resume_reading()

    def _refuse(self, failure: failures.GatewayError) -> None:
        """Have the app answer with `failure`, and end the connection after it."""
        in_body = self._reading == _READING_BODY
        self._reading = _CLOSED
        self.flow.forget()
        self._clear_head_deadline()
        self._idle_since = None
        if not in_body:
            # Little more than the failure is known of the request.
            line = self._reader.line
            scope = http_scope(
                self._connection, UNREAD._replace(method=line.method, version=line.version), []
            )
            scope[REFUSAL] = failure
            self._take(scope, expects_continue=False, keep_alive=False, more_body=False)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.scope[REFUSAL] = failure
            self.cycle.keep_alive = False
            self.cycle.tell()

    def _take(self, scope: Scope, expects_continue: bool, keep_alive: bool, more_body: bool) -> None:
        """Run the app for a request, or have it wait for the one before."""
        earlier = self.cycle
        # By position: names given to a class are put into a dictionary, for half a microsecond.
        self.cycle = cycle = Cycle(
            scope,
            self.transport,
            self.flow,
            expects_continue,
            keep_alive,
            more_body,
            self.on_response_complete,
        )
        if earlier is None or earlier.response_complete:
            self._serve(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft(cycle)

    def _serve(self, cycle: Cycle) -> None:
        self._begins()
        self._connection.task = cycle.task = task = self.loop.create_task(cycle.run(self.app, self.tasks))
        self.tasks.add(task)

    def _begins(self) -> None:
        """Be told that a request is under way."""

    def _ends(self) -> None:
        """Be told that none is, and none waits."""


def _misdirected(method: str) -> failures.GatewayError:
    if method == "CONNECT":
        return failures.MethodNotAllowed("CONNECT is not forwarded.")
    return failures.RequestInvalid("Only unambiguous request targets in origin form are forwarded.")
