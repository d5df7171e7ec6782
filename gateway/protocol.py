"""The server's HTTP/1.1 protocol, made strict: what it cannot read becomes a refusal that the story tells.

uvicorn's own protocol answers bad input with plain text, hides the absolute form from the app, has no limit
on a head's size or time, and adds trailers to the headers after the app has started. This subclass closes
those gaps. A refused request still runs through the app, with a `GatewayError` in its scope, so that there is
one place that writes errors, and every refusal is logged, counted and traced like any other exchange.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway import failures
from gateway.arrival import CONNECTION, REFUSAL, Connection, Scope
from gateway.budget import Budget
from gateway.config import Limits
from gateway.lingering import Lingering

_SILENT = logging.getLogger("gateway.protocol")
_SILENT.setLevel(logging.CRITICAL + 1)
_PIPELINE = 64
"""Requests that may wait behind the one under way; one read of a socket can hold thousands."""
_READING_HEAD = 0
_READING_BODY = 1
_CLOSED = 2


def strict_protocol(limits: Limits) -> Callable[..., "StrictProtocol"]:
    """A protocol factory for uvicorn's `http`, bound to the configured limits."""

    class Bound(StrictProtocol):
        limits_ = limits

    return Bound


class StrictProtocol(HttpToolsProtocol):
    """One connection of the data listener."""

    limits_: Limits

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # What uvicorn would log here (a cut response, a bad request) is told by the exchange's own log line.
        self.logger = _SILENT
        self._reading = _READING_HEAD
        self._method = "_OTHER"
        self._heard = False
        self._budget = Budget(self.limits_.head_bytes)
        self._head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; uvicorn would wait for ever."""
        super().connection_made(transport)
        self.transport = Lingering(transport, unread=self._is_unread, drop=self._drop)
        self._connection = Connection(transport.abort)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what it cannot read is refused, once, and ends the connection."""
        if self._reading == _CLOSED:
            return
        self._heard = True
        self._unset_keepalive_if_required()
        if self._reading == _READING_HEAD and self._head_deadline is None:
            self._await_head()
        self._budget.before()
        try:
            self.parser.feed_data(data)
            self._budget.after(len(data))
        except httptools.HttpParserUpgrade:
            # The request has been handed on without its Upgrade; what follows would be in another protocol.
            self._reading = _CLOSED
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, failures.GatewayError) else _unreadable())
        except httptools.HttpParserError:
            self._refuse(_unreadable())
        except failures.GatewayError as failure:
            self._refuse(failure)

    def on_message_begin(self) -> None:
        """Start counting a head."""
        super().on_message_begin()
        self._budget.begin()
        self._method = "_OTHER"
        self._reading = _READING_HEAD

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._budget.take(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is dropped (RFC 9110, section 6.5.1)."""
        if self._reading != _READING_HEAD:
            return
        value = value.strip(b" \t")  # RFC 9110, section 5.5: white space around a value is not part of it
        self._budget.take(len(name) + len(value) + 4)
        if len(self.headers) >= self.limits_.header_count:
            raise failures.HeadersTooLarge(
                f"More than {self.limits_.header_count} headers (limits.header_count)."
            )
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app, if its target is in origin form (RFC 9112, section 3.2.1)."""
        self._clear_head_deadline()
        self._budget.move()
        self._reading = _READING_BODY
        self._method = self.parser.get_method().decode("ascii")
        if self._method == "CONNECT":
            raise failures.MethodNotAllowed("CONNECT is not forwarded.")
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            raise failures.RequestInvalid("Only HTTP/1.0 and HTTP/1.1 are spoken here.")
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in self.headers):
            raise failures.RequestInvalid("HTTP/1.0 has no transfer-encoding.")  # RFC 9112, section 6.1
        if len(self.pipeline) >= _PIPELINE:
            raise failures.RequestInvalid(f"More than {_PIPELINE} requests wait on this connection.")
        if not self.url.startswith(b"/") or self.url.startswith(b"//") or b"#" in self.url:
            raise failures.RequestInvalid("Only unambiguous request targets in origin form are forwarded.")
        cast("Scope", self.scope)[CONNECTION] = self._connection
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._budget.move()
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Go on with what was pipelined; uvicorn would read more for each answer, and pile it up."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """End the request; the next head on this connection gets its own deadline."""
        self._budget.move()
        super().on_message_complete()
        self._reading = _READING_HEAD

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._clear_head_deadline()
        self._reading = _CLOSED
        self._connection.lost = True
        super().connection_lost(exc)
        if self._connection.on_lost is not None:
            self._connection.on_lost()

    def _is_unread(self) -> bool:
        return self._reading != _READING_HEAD and not self._connection.lost

    def _drop(self) -> None:
        self._reading = _CLOSED
        self.flow.resume_reading()

    def _should_upgrade(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        return

    def _await_head(self) -> None:
        self._head_deadline = self.loop.call_later(self.limits_.head_timeout, self._head_too_slow)

    def _head_too_slow(self) -> None:
        self._head_deadline = None
        if not self._heard:
            # Not one byte of a request came: there is nobody to be answered.
            self.transport.close()
            return
        self._refuse(failures.RequestTimeout("The request head did not come in time (limits.head_timeout)."))

    def _clear_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _refuse(self, failure: failures.GatewayError) -> None:
        """Have the app answer with `failure`, and end the connection after it."""
        in_body = self._reading == _READING_BODY and self.cycle is not None and self.cycle.scope is self.scope
        self._reading = _CLOSED
        self._clear_head_deadline()
        if not in_body:
            self._start_refusal(failure)
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            cast("Scope", self.scope)[REFUSAL] = failure
            self.cycle.keep_alive = False
            self.cycle.message_event.set()

    def _start_refusal(self, failure: failures.GatewayError) -> None:
        """Run the app for a request of which little more than the failure is known."""
        method = self._method
        super().on_message_begin()
        scope = cast("Scope", self.scope)
        scope.update(method=method, path="/", raw_path=b"/", query_string=b"")
        scope[REFUSAL] = failure
        scope[CONNECTION] = self._connection
        earlier = self.cycle
        self.cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self.cycle.more_body = False
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))


def _unreadable() -> failures.RequestInvalid:
    return failures.RequestInvalid("The request is not valid HTTP/1.1.")
