"""Spans as plain records: handed to the SDK's processor when they end, and nothing before that.

The SDK's own span locks, bounds and copies at every step, for users who write to it from many threads. Those
of an exchange are written once at the start and once at the end, on one thread, with attributes that are
short already; without the SDK's span an exchange takes a sixth less instructions. Sampler, ids, resource,
processor and exporter stay the SDK's.
"""

from collections.abc import Iterable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Tracer
from opentelemetry.sdk.trace.sampling import Decision, SamplingResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway.spans.attributes import Attributes

_ERROR = Status(StatusCode.ERROR)
_UNSET = Status(StatusCode.UNSET)


class LeanSpan:
    """One span; `context` is its place in the trace."""

    __slots__ = (
        "_attributes",
        "_kind",
        "_links",
        "_name",
        "_parent",
        "_start",
        "_tracer",
        "context",
        "recording",
    )

    def __init__(
        self,
        tracer: "LeanTracer",
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Attributes,
        start: int | None,
        links: Iterable[Link] = (),
    ) -> None:
        self.context = context
        self.recording = context.trace_flags.sampled
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._parent = parent
        self._attributes = attributes
        self._start = start
        self._links = list(links)

    def link(self, link: Link) -> None:
        """Add a link, before the end."""
        self._links.append(link)

    def end(self, learned: Attributes, *, failed: bool, at: int | None, events: Sequence[Event] = ()) -> None:
        """Hand the span over; no description goes with a failure, since messages may hold secrets."""
        self._tracer.processor.on_end(
            ReadableSpan(
                self._name,
                self.context,
                self._parent,
                self._tracer.resource,
                {**self._attributes, **learned},
                events=events,
                links=self._links,
                kind=self._kind,
                status=_ERROR if failed else _UNSET,
                start_time=self._start,
                end_time=at,
                instrumentation_scope=self._tracer.scope,
            )
        )


class LeanTracer:
    """Starts lean spans with the parts of an SDK tracer."""

    def __init__(self, tracer: Tracer, scope: InstrumentationScope) -> None:
        self.processor = tracer.span_processor
        self.resource = tracer.resource
        self.scope = scope
        self._sampler = tracer.sampler
        self._ids = tracer.id_generator

    def entry(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None,
        attributes: Attributes,
        start: int,
        links: Sequence[Link],
    ) -> LeanSpan:
        """The first span of this process in its trace; the sampler decides whether it is recorded."""
        trace_id = self._ids.generate_trace_id() if parent is None else parent.trace_id
        decided = self._decide(name, kind, trace_id, parent, attributes, links)
        flags = TraceFlags.SAMPLED if decided.decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT
        if self._ids.is_trace_id_random() if parent is None else parent.trace_flags.random_trace_id:
            flags |= TraceFlags.RANDOM_TRACE_ID
        context = SpanContext(
            trace_id,
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=TraceFlags(flags),
            trace_state=decided.trace_state,
        )
        return LeanSpan(self, name, kind, context, parent, attributes, start, links)

    def samples(self, name: str, kind: SpanKind, trace_id: int, attributes: Attributes) -> bool:
        """Whether a root span whose trace id is given would be recorded."""
        decided = self._decide(name, kind, trace_id, None, attributes, ())
        return decided.decision is Decision.RECORD_AND_SAMPLE

    def _decide(
        self,
        name: str,
        kind: SpanKind,
        trace_id: int,
        parent: SpanContext | None,
        attributes: Attributes,
        links: Sequence[Link],
    ) -> SamplingResult:
        around = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
        return self._sampler.should_sample(around, trace_id, name, kind, attributes, links)

    def client(self, name: str, parent: LeanSpan, attributes: Attributes, start: int | None) -> LeanSpan:
        """A client span below a recorded one."""
        above = parent.context
        context = SpanContext(
            above.trace_id,
            self._ids.generate_span_id(),
            is_remote=False,
            trace_flags=above.trace_flags,
            trace_state=above.trace_state,
        )
        return LeanSpan(self, name, SpanKind.CLIENT, context, above, attributes, start)
