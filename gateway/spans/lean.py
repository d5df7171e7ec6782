"""Spans as plain records: handed to the SDK's queue when they end, and nothing before that.

The SDK's own span locks, bounds and copies at every step, for users who write to it from many threads. Those
of an exchange are written once at the start and once at the end, on one thread, with attributes that are
short already. Sampler, ids, resource, queue and exporter stay the SDK's; its span is made only for an
exporter that asks for one.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, Self

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from gateway.spans.attributes import Attributes
from gateway.trace_context import RANDOM, SAMPLED

_ERROR = Status(StatusCode.ERROR)
_UNSET = Status(StatusCode.UNSET)
NO_STATE = TraceState()


class Place(NamedTuple):
    """A span's place in its trace, in the names of the SDK's `SpanContext`, which takes ten times as long."""

    trace_id: int
    span_id: int
    trace_flags: int
    is_remote: bool = False
    trace_state: TraceState = NO_STATE

    @classmethod
    def of(cls, context: SpanContext) -> Self:
        """The place that the SDK's `context` is."""
        flags = int(context.trace_flags)
        return cls(context.trace_id, context.span_id, flags, context.is_remote, context.trace_state)

    @property
    def sampled(self) -> bool:
        """Whether the span is recorded."""
        return bool(self.trace_flags & SAMPLED)

    def full(self) -> SpanContext:
        """The same as the SDK has it."""
        flags = TraceFlags(self.trace_flags)
        return SpanContext(self.trace_id, self.span_id, self.is_remote, flags, self.trace_state)


class Queue(Protocol):
    """Where spans that have ended wait for their export."""

    def take(self, span: "LeanSpan") -> None:
        """Keep the span for the next batch, or count it as lost."""


class LeanSpan:
    """One span, with the parts of the SDK's that a finished one is read by; `context` is its place."""

    __slots__ = (
        "_tracer",
        "attributes",
        "context",
        "end_time",
        "events",
        "kind",
        "links",
        "name",
        "parent",
        "recording",
        "start_time",
        "status",
    )
    # Nothing is left out here: attributes are bounded where they are made.
    dropped_attributes = dropped_events = dropped_links = 0

    def __init__(
        self,
        tracer: "LeanTracer",
        name: str,
        kind: SpanKind,
        context: Place,
        parent: Place | None,
        attributes: Attributes,
        start: int | None,
        links: Iterable[Link] = (),
    ) -> None:
        """`attributes` become the span's own."""
        self._tracer = tracer
        self.name = name
        self.kind = kind
        self.context = context
        self.parent = parent
        self.attributes = attributes
        self.start_time = start
        self.links = list(links)
        self.recording = context.sampled
        self.end_time: int | None = None
        self.events: Sequence[Event] = ()
        self.status = _UNSET

    @property
    def resource(self) -> Resource:
        """Whose span it is."""
        return self._tracer.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """What made it."""
        return self._tracer.scope

    def link(self, link: Link) -> None:
        """Add a link, before the end."""
        self.links.append(link)

    def end(self, learned: Attributes, *, failed: bool, at: int | None, events: Sequence[Event] = ()) -> None:
        """Hand the span over; no description goes with a failure, since messages may hold secrets."""
        self.attributes.update(learned)
        self.end_time, self.events = at, events
        if failed:
            self.status = _ERROR
        for queue in self._tracer.queues:
            queue.take(self)

    def readable(self) -> ReadableSpan:
        """The span as the SDK has it."""
        return ReadableSpan(
            self.name,
            self.context.full(),
            None if self.parent is None else self.parent.full(),
            self._tracer.resource,
            self.attributes,
            events=self.events,
            links=self.links,
            kind=self.kind,
            status=self.status,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=self._tracer.scope,
        )


class LeanTracer:
    """Starts lean spans with the parts of an SDK tracer."""

    def __init__(
        self, tracer: Tracer, scope: InstrumentationScope, queues: Sequence[Queue], *, follows: bool
    ) -> None:
        """`follows` says that the sampler decides as a remote parent's flag says, where there is one."""
        self.queues = queues
        self.resource = tracer.resource
        self.scope = scope
        self._sampler = tracer.sampler
        self._ids = tracer.id_generator
        self._follows = follows

    def entry(
        self,
        name: str,
        kind: SpanKind,
        parent: Place | None,
        attributes: Attributes,
        start: int,
        links: Sequence[Link],
    ) -> LeanSpan:
        """The first span of this process in its trace; the sampler decides whether it is recorded."""
        if parent is not None and self._follows:
            context = Place(
                parent.trace_id,
                self._ids.generate_span_id(),
                parent.trace_flags,
                trace_state=parent.trace_state,
            )
            return LeanSpan(self, name, kind, context, parent, attributes, start, links)
        trace_id = self._ids.generate_trace_id() if parent is None else parent.trace_id
        sampled, state = self._decide(name, kind, trace_id, parent, attributes, links)
        flags = SAMPLED if sampled else 0
        if self._ids.is_trace_id_random() if parent is None else parent.trace_flags & RANDOM:
            flags |= RANDOM
        context = Place(trace_id, self._ids.generate_span_id(), flags, trace_state=state)
        return LeanSpan(self, name, kind, context, parent, attributes, start, links)

    def samples(self, name: str, kind: SpanKind, trace_id: int, attributes: Attributes) -> bool:
        """Whether a root span whose trace id is given would be recorded."""
        return self._decide(name, kind, trace_id, None, attributes, ())[0]

    def _decide(
        self,
        name: str,
        kind: SpanKind,
        trace_id: int,
        parent: Place | None,
        attributes: Attributes,
        links: Sequence[Link],
    ) -> tuple[bool, TraceState]:
        around = Context()
        if parent is not None:
            around = set_span_in_context(NonRecordingSpan(parent.full()), around)
        decided = self._sampler.should_sample(around, trace_id, name, kind, attributes, links)
        return decided.decision is Decision.RECORD_AND_SAMPLE, decided.trace_state or NO_STATE

    def client(self, name: str, parent: LeanSpan, attributes: Attributes, start: int | None) -> LeanSpan:
        """A client span below a recorded one."""
        above = parent.context
        context = Place(
            above.trace_id, self._ids.generate_span_id(), above.trace_flags, trace_state=above.trace_state
        )
        return LeanSpan(self, name, SpanKind.CLIENT, context, above, attributes, start)
