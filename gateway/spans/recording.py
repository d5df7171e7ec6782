"""The spans of one exchange, made by hand: a server span or one of own work, and a client span per attempt.

Start and end come from the exchange's own clock readings, so that a span and a histogram tell the same time.
At the start there are ids, for the headers that are sent; all else waits for the end.
"""

from collections.abc import Sequence
from random import getrandbits
from typing import Protocol

from opentelemetry.trace import Link

from gateway.exchange import Attempt, Exchange
from gateway.spans import attributes
from gateway.spans.lean import CLIENT, INTERNAL, SERVER, LeanSpan, Recorder
from gateway.spans.references import SpanIds, links_to
from gateway.trace_context import SAMPLED, propagated, traceparent

HeaderLines = tuple[tuple[bytes, bytes], ...]


class ClientSpan(Protocol):
    """One attempt."""

    headers: HeaderLines
    """The lines to send in place of the app's own trace headers."""

    def end(self, exchange: Exchange, attempt: Attempt) -> None:
        """Tell what became of the attempt, when its body was relayed, dropped or broke."""


class ServerSpan(Protocol):
    """An exchange."""

    def attempt(self, exchange: Exchange, attempt: Attempt) -> ClientSpan:
        """Begin an attempt at `attempt.started`."""

    def link(self, ids: SpanIds) -> None:
        """Point to a span of another trace that did the work, before the end."""

    def end(self, exchange: Exchange) -> None:
        """Tell what the app got, when the exchange is really over."""


class UntracedClientSpan:
    """An attempt that is not recorded."""

    __slots__ = ("headers",)

    def __init__(self, headers: HeaderLines) -> None:
        self.headers = headers

    def end(self, exchange: Exchange, attempt: Attempt) -> None:
        """Nobody is told."""


class UntracedServerSpan:
    """An exchange with tracing off: nothing is recorded, and every attempt sends the same ids."""

    __slots__ = ("_headers",)

    def __init__(self, headers: HeaderLines) -> None:
        self._headers = headers

    def attempt(self, exchange: Exchange, attempt: Attempt) -> ClientSpan:  # noqa: ARG002 - the traced one reads them
        """The lines to send."""
        return UntracedClientSpan(self._headers)

    def link(self, ids: SpanIds) -> None:
        """Nobody is told."""

    def end(self, exchange: Exchange) -> None:
        """Nobody is told."""


class TracedClientSpan(LeanSpan):
    """An attempt that is recorded."""

    __slots__ = ("headers",)
    kind = CLIENT
    parent_is_remote = False

    def __init__(self, above: "TracedServerSpan", span_id: str, headers: HeaderLines) -> None:
        self.headers = headers
        self.recorder = above.recorder
        self.trace_id = above.trace_id
        self.span_id = span_id
        self.parent_id = above.span_id
        self.flags = above.flags
        self.state = above.state

    def end(self, exchange: Exchange, attempt: Attempt) -> None:
        """Hand the span over."""
        began, began_ns = exchange.started, exchange.started_ns
        self.start_time = began_ns + round((attempt.started - began) * 1e9)
        self.end_time = began_ns + round((attempt.finished - began) * 1e9)
        self.name = attributes.span_name(exchange.method, exchange.route.template)
        self.told, self.usual = attributes.client(exchange, attempt, self.recorder.origin)
        self.request_id = attempt.request_id
        self.recorder.take(self)


class TracedServerSpan(LeanSpan):
    """The exchange's server span; each attempt has an id of its own, sampled or not."""

    __slots__ = ("_carried", "links")
    kind = SERVER
    parent_is_remote = True

    def __init__(
        self,
        recorder: Recorder,
        trace_id: str,
        span_id: str,
        flags: int,
        parent_id: str | None = None,
        state: bytes = b"",
        bag: bytes = b"",
        links: Sequence[Link] = (),
    ) -> None:
        self.recorder = recorder
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.parent_id = parent_id
        self.state = state
        self.links = links
        self._carried = propagated(b"", state, bag) if state or bag else ()

    def attempt(self, exchange: Exchange, attempt: Attempt) -> ClientSpan:  # noqa: ARG002 - read at its end
        """Begin an attempt: a client span, or only a fresh id where the trace is not sampled."""
        # By way of bytes an id is made in half the time that formatting a number takes.
        span_id = (getrandbits(64) or 1).to_bytes(8).hex()
        parent = traceparent(self.trace_id, span_id, self.flags)
        headers = ((b"traceparent", parent), *self._carried)
        return (
            TracedClientSpan(self, span_id, headers) if self.flags & SAMPLED else UntracedClientSpan(headers)
        )

    def link(self, ids: SpanIds) -> None:
        """Add a link to a span of another trace."""
        self.links = [*self.links, *links_to((ids,))]

    def end(self, exchange: Exchange) -> None:
        """Hand the span over, when the body was relayed, dropped or broke."""
        if self.flags & SAMPLED:
            self.name = attributes.span_name(exchange.method, exchange.route.template)
            self.told, self.usual = attributes.server(exchange)
            self.request_id = exchange.request_id
            began_ns = exchange.started_ns
            self.start_time = began_ns
            self.end_time = began_ns + round((exchange.finished - exchange.started) * 1e9)
            self.recorder.take(self)


class WorkSpan(TracedServerSpan):
    """The span of an exchange of the gateway's own, which nobody asked for: any error is its failure."""

    __slots__ = ()
    kind = INTERNAL

    def end(self, exchange: Exchange) -> None:
        """Hand the span over."""
        if self.flags & SAMPLED:
            self.told, self.usual = attributes.work(exchange)
            self.request_id = None
            began_ns = exchange.started_ns
            self.start_time = began_ns
            self.end_time = began_ns + round((exchange.finished - exchange.started) * 1e9)
            self.recorder.take(self)
