"""Spans as plain records: told when they end, of values that are there already, encoded off the event loop.

The SDK's own span locks, bounds and copies at every step, for users who write to it from many threads. One of
an exchange is written once, on one thread. Resource and exporter stay the SDK's; its span is made only
for an exporter that asks for one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway.spans.attributes import ERROR, REQUEST_ID, Attributes, Origin, Told, text
from gateway.spans.sampling import Sampling

INTERNAL, SERVER, CLIENT = 1, 2, 3
"""Kinds of spans as OTLP counts them; the SDK counts from 0."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """What every span of this process is made with."""

    resource: Resource
    instrumentation_scope: InstrumentationScope
    take: Callable[["LeanSpan"], None]
    """Keeps a span that has ended for its export, or counts it as lost."""
    sampling: Sampling
    origin: Origin


class LeanSpan:
    """One span: its place in the trace from the start, the rest when it ends. Ids are lower-case hex."""

    __slots__ = (
        "end_time",
        "flags",
        "name",
        "parent_id",
        "recorder",
        "request_id",
        "span_id",
        "start_time",
        "state",
        "told",
        "trace_id",
        "usual",
    )

    kind: ClassVar[int]
    parent_is_remote: ClassVar[bool]
    events: Sequence[Event] = ()
    links: Sequence[Link] = ()

    recorder: Recorder
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    flags: int
    state: bytes
    """The caller's tracestate, one valid line."""
    start_time: int
    end_time: int
    """Both in nanoseconds since the epoch."""
    told: tuple[Told, ...]
    """The attributes; each is told once."""
    usual: bool
    """Whether what they are told of is short, and may come again."""
    request_id: str | None
    """The last attribute, of which every span has another value."""

    @property
    def attributes(self) -> Attributes:
        """All of them, in the order in which they are exported."""
        attributes: Attributes = {}
        for tell, said in self.told:
            attributes |= tell(*said)
        if self.request_id is not None:
            attributes[REQUEST_ID] = text(self.request_id)
        return attributes

    def readable(self) -> ReadableSpan:
        """The span as the SDK has it; no description goes with a failure, since messages may hold secrets."""
        parent_id, attributes = self.parent_id, self.attributes
        return ReadableSpan(
            self.name,
            self._context(self.span_id, is_remote=False),
            None if parent_id is None else self._context(parent_id, is_remote=self.parent_is_remote),
            self.recorder.resource,
            attributes,
            events=self.events,
            links=self.links,
            kind=SpanKind(self.kind - 1),
            status=Status(StatusCode.ERROR if ERROR in attributes else StatusCode.UNSET),
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=self.recorder.instrumentation_scope,
        )

    def _context(self, span_id: str, *, is_remote: bool) -> SpanContext:
        state = CarriedState(self.state) if self.state else None
        return SpanContext(int(self.trace_id, 16), int(span_id, 16), is_remote, TraceFlags(self.flags), state)


class CarriedState(TraceState):
    """A tracestate as it came; the stock class refuses keys that Level 2 allows."""

    def __init__(self, line: bytes) -> None:
        super().__init__()
        members = (part.strip(" \t").partition("=") for part in line.decode().split(","))
        self._dict = {key: value for key, _, value in members}
