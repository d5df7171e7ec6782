"""The spans of one exchange, made by hand: a server span or one of own work, and a client span per attempt.

Start and end come from the exchange's own clock readings, so that a span and a histogram tell the same time.
"""

from dataclasses import dataclass

from opentelemetry.sdk.trace.id_generator import IdGenerator

from gateway.exchange import Attempt, Exchange
from gateway.spans import attributes
from gateway.spans.lean import LeanSpan, LeanTracer
from gateway.spans.references import SpanIds, links_to
from gateway.trace_context import propagated, traceparent

HeaderLines = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Recorder:
    """What every span of this process is made with."""

    tracer: LeanTracer
    ids: IdGenerator
    origin: attributes.Origin


class ClientSpan:
    """One attempt; `headers` are the lines to send in place of the app's own trace headers."""

    __slots__ = ("_span", "headers")

    def __init__(self, headers: HeaderLines, span: LeanSpan | None = None) -> None:
        self.headers = headers
        self._span = span

    def end(self, exchange: Exchange, attempt: Attempt) -> None:
        """Tell what became of the attempt, when its body was relayed, dropped or broke."""
        if self._span is not None:
            learned, failed = attributes.client_end(exchange, attempt)
            self._span.end(learned, failed=failed, at=wall(exchange, attempt.finished))


class ServerSpan:
    """An exchange that is not recorded here: with tracing off, every attempt sends the same ids."""

    __slots__ = ("_headers",)

    def __init__(self, headers: HeaderLines) -> None:
        self._headers = headers

    def attempt(self, exchange: Exchange, attempt: Attempt) -> ClientSpan:  # noqa: ARG002 - the traced one reads them
        """Begin an attempt at `attempt.started`."""
        return ClientSpan(self._headers)

    def link(self, ids: SpanIds) -> None:
        """Point to a span of another trace that did the work, before the end."""

    def end(self, exchange: Exchange) -> None:
        """Tell what the app got, when the exchange is really over."""


class TracedServerSpan(ServerSpan):
    """The exchange's server span; each attempt has an id of its own, sampled or not."""

    __slots__ = ("_bag", "_recorder", "_span", "_state")

    def __init__(self, recorder: Recorder, span: LeanSpan, *, state: bytes, bag: bytes) -> None:
        super().__init__(())
        self._recorder = recorder
        self._span = span
        self._state = state
        self._bag = bag

    def attempt(self, exchange: Exchange, attempt: Attempt) -> ClientSpan:
        """Begin an attempt: a client span, or only a fresh id where the trace is not sampled."""
        if self._span.recording:
            span = self._start(exchange, attempt)
            span_id = span.context.span_id
        else:
            span = None
            span_id = self._recorder.ids.generate_span_id()
        parent = traceparent(exchange.trace.trace_id, f"{span_id:016x}", self._span.context.trace_flags)
        return ClientSpan(propagated(parent, self._state, self._bag), span)

    def _start(self, exchange: Exchange, attempt: Attempt) -> LeanSpan:
        return self._recorder.tracer.client(
            attributes.span_name(exchange),
            self._span,
            attributes.client_start(exchange, attempt, self._recorder.origin),
            wall(exchange, attempt.started),
        )

    def link(self, ids: SpanIds) -> None:
        """Add a link to a span of another trace."""
        if self._span.recording:
            for link in links_to((ids,)):
                self._span.link(link)

    def end(self, exchange: Exchange) -> None:
        """End the span, when the body was relayed, dropped or broke."""
        if self._span.recording:
            learned, failed = self._learned(exchange)
            self._span.end(learned, failed=failed, at=wall(exchange, exchange.finished))

    def _learned(self, exchange: Exchange) -> tuple[attributes.Attributes, bool]:
        return attributes.server_end(exchange)


class WorkSpan(TracedServerSpan):
    """The span of an exchange of the gateway's own, which nobody asked for: any error is its failure."""

    __slots__ = ()

    def _learned(self, exchange: Exchange) -> tuple[attributes.Attributes, bool]:
        return attributes.work_end(exchange)


def wall(exchange: Exchange, reading: float | None) -> int | None:
    """A clock reading of the exchange as nanoseconds since the epoch; None without one."""
    if reading is None:
        return None
    return exchange.started_ns + round((reading - exchange.started) * 1e9)
