"""The server's HTTP/1.1 protocol, made strict: what it cannot read becomes a refusal that the story tells.

uvicorn's own protocol answers bad input with plain text, forgives much of it, and has no limit on a head's
size or time. This subclass keeps of it what sends responses, and reads requests with `RequestReader`. A
refused request still runs through the app, with a `GatewayError` in its scope, so that there is one place
that writes errors, and every refusal is logged, counted and traced like any other exchange.
"""

import asyncio
import random
from typing import Any, cast

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway import failures
from gateway.arrival import REFUSAL, Connection, Scope, http_scope
from gateway.callers import read_peer
from gateway.config import Limits
from gateway.cycle import SILENT, Cycle
from gateway.exchange import RawHeaders
from gateway.flow import Flow
from gateway.lingering import Lingering
from gateway.reader import RequestReader

_PIPELINE = 64
"""Requests that may wait behind the one under way; one read of a socket can hold thousands."""
_SPREAD = 0.1
"""Share by which a head may have longer: to refuse 500 at one moment held the event loop for 0.15 s."""
_LAST_HEAD = 0.5
"""Seconds for a head to come on a connection that was opened just before the listener closed."""
_READING_HEAD = 0
_READING_BODY = 1
_CLOSED = 2


class StrictProtocol(HttpToolsProtocol):
    """One connection; `limits_` are set by a subclass, see `crowd`."""

    # A 31st attribute in an instance's dictionary costs 1 KB: it is no longer shared with the class's others.
    __slots__ = ("_connection", "_head_deadline", "_heard", "_reader", "_reading")
    flow: Flow
    limits_: Limits

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
        self._head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; uvicorn would wait for ever."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.transport = Lingering(
            transport, unread=self._is_unread, drop=self._drop, patience=self.limits_.slow_reader
        )
        self._connection = Connection(transport.abort, read_peer(transport))
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Have it read in turns."""
        if self._reading != _CLOSED:
            self._heard = True
            self.flow.take(data, self._read)

    def _read(self, data: bytes, at: int) -> int:
        """Feed the reader for one turn; what it cannot read is refused, once, and ends the connection."""
        try:
            at = self._reader.feed(data, self, at)
        except failures.GatewayError as failure:
            self._refuse(failure)
            return len(data)
        if self._reader.in_head:
            self._unset_keepalive_if_required()
            if self._head_deadline is None:
                self._await_head()
        return at

    def on_head(self) -> None:
        """Hand the request to the app, if its target is in origin form (RFC 9112, section 3.2.1)."""
        self._clear_head_deadline()
        self._unset_keepalive_if_required()
        reader = self._reader
        if reader.method == "CONNECT":
            raise failures.MethodNotAllowed("CONNECT is not forwarded.")
        if len(self.pipeline) >= _PIPELINE:
            raise failures.RequestInvalid(f"More than {_PIPELINE} requests wait on this connection.")
        if not reader.target.startswith(b"/") or reader.target.startswith(b"//"):
            raise failures.RequestInvalid("Only unambiguous request targets in origin form are forwarded.")
        self._reading = _READING_BODY
        path, _, query = reader.target.partition(b"?")
        self._start_cycle(path, query, reader.headers, keep_alive=not reader.last)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; nobody waits for it once the response is complete."""
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_end(self) -> None:
        """End the request; the next head on this connection gets its own deadline."""
        self._reading = _READING_HEAD
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """Go on with what was pipelined; uvicorn would read more for each answer, and pile it up."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif self._head_deadline is not None:
            # The next head has begun: it could not come while reading was paused, and is not idle time.
            self._unset_keepalive_if_required()
            self._clear_head_deadline()
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._clear_head_deadline()
        self._reading = _CLOSED
        self.flow.forget()
        self._connection.lost = True
        super().connection_lost(exc)
        if self._connection.on_lost is not None:
            self._connection.on_lost()

    def shutdown(self) -> None:
        """Close where nothing is asked; a head that may be on its way has a moment to come."""
        if self._head_deadline is None:
            super().shutdown()
            return
        self._clear_head_deadline()
        self._head_deadline = self.loop.call_later(_LAST_HEAD, self._head_too_slow)

    def _is_unread(self) -> bool:
        unread = self._reading != _READING_HEAD or self._reader.surplus or self.flow.held
        return unread and not self._connection.lost

    def _drop(self) -> None:
        self._reading = _CLOSED
        self.flow.forget()
        self.flow.resume_reading()

    def _await_head(self) -> None:
        longer = 1 + _SPREAD * random.random()  # noqa: S311 - nobody gains by foreseeing it
        self._head_deadline = self.loop.call_later(longer * self.limits_.head_timeout, self._head_too_slow)

    def _head_too_slow(self) -> None:
        self._head_deadline = None
        if self.flow.read_paused or self.flow.held:
            self._await_head()
        elif self._heard:
            self._refuse(
                failures.RequestTimeout("The request head did not come in time (limits.head_timeout).")
            )
        else:
            # Not one byte of a request came: there is nobody to be answered.
            self.transport.close()

    def _clear_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _refuse(self, failure: failures.GatewayError) -> None:
        """Have the app answer with `failure`, and end the connection after it."""
        in_body = self._reading == _READING_BODY
        self._reading = _CLOSED
        self.flow.forget()
        self._clear_head_deadline()
        self._unset_keepalive_if_required()
        if not in_body:
            # Little more than the failure is known of the request.
            self._start_cycle(b"/", b"", [], keep_alive=False, refusal=failure)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            cast("Scope", self.scope)[REFUSAL] = failure
            self.cycle.keep_alive = False
            self.cycle.message_event.set()

    def _start_cycle(
        self,
        raw_path: bytes,
        query: bytes,
        fields: RawHeaders,
        *,
        keep_alive: bool,
        refusal: failures.GatewayError | None = None,
    ) -> None:
        """Run the app for a request, or have it wait for the one before."""
        scope = http_scope(
            raw_path,
            self._connection,
            http_version=self._reader.version,
            server=self.server,
            client=self.client,
            scheme=self.scheme,
            method=self._reader.method,
            query_string=query,
            headers=fields,
            state=self.app_state.copy(),
        )
        if refusal is not None:
            scope[REFUSAL] = refusal
        self.scope = cast("HTTPScope", scope)
        earlier = self.cycle
        self.cycle = Cycle(
            self.scope,
            self.transport,
            self.flow,
            default_headers=self.server_state.default_headers,
            expects_continue=self._reader.expects_continue and refusal is None,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if refusal is not None:
            self.cycle.more_body = False
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
