"""The room's one object: opens the spans of exchanges and of own work, tells of jobs, closes the export."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from random import getrandbits

import httpx
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NoOpTracer, SpanContext, TraceFlags, Tracer

from gateway import trace_context
from gateway.config import Tracing
from gateway.exchange import Exchange, TraceIds
from gateway.spans import attributes, background, environment, job, references
from gateway.spans.export import CountedProcessor, Pipeline, Tally
from gateway.spans.job import JobSpan
from gateway.spans.lean import CarriedState, LeanSpan, Recorder
from gateway.spans.recording import ServerSpan, TracedServerSpan, UntracedServerSpan, WorkSpan
from gateway.spans.references import SpanIds
from gateway.spans.sampling import Sampling
from gateway.trace_context import RANDOM, SAMPLED, TraceContext, traceparent

SCOPE = "adt-gateway"


class Spans:
    """Spans of one process; made by `create`, ended by `shutdown`.

    With tracing off (no endpoint, or `OTEL_SDK_DISABLED`) nothing is recorded: a caller's valid context
    passes unchanged, because an id that is never exported would orphan the upstream's spans; without one a
    new unsampled one is made, so that logs and headers still carry an id.
    """

    def __init__(
        self,
        settings: Tracing,
        background: Tracer,
        recorder: Recorder | None = None,
        pipeline: Pipeline | None = None,
    ) -> None:
        self._restart = settings.trust == "restart"
        self._baggage = settings.baggage == "pass"
        self._background = background
        self._recorder = recorder
        self._pipeline = pipeline

    @classmethod
    def create(
        cls,
        settings: Tracing,
        environ: Mapping[str, str],
        *,
        upstream: str,
        version: str,
        exporter: SpanExporter | None = None,
    ) -> "Spans":
        """Build from `tracing` and the `OTEL_*` variables; `upstream` is the base URL that client spans name.

        Raises TracingConfigError where a variable asks for what is not supported.
        """
        origin = attributes.Origin.of(upstream)
        exporters = environment.exporters(settings, environ) if exporter is None else [exporter]
        if not exporters or environment.disabled(environ):
            return cls(settings, NoOpTracer())
        sampling = Sampling.of(settings, environ)
        provider = TracerProvider(
            sampler=sampling.of_the_sdk(),
            resource=environment.resource(environ, version),
            shutdown_on_exit=False,
        )
        tally, options = Tally(), environment.batch_options(environ)
        processors = [CountedProcessor(each, options, tally) for each in exporters]
        pipeline = Pipeline(provider, processors, tally)
        scope = InstrumentationScope(SCOPE, version)
        recorder = Recorder(provider.resource, scope, _taker(processors), sampling, origin)
        return cls(settings, provider.get_tracer(SCOPE, version), recorder, pipeline)

    @property
    def on(self) -> bool:
        """Whether spans are exported at all."""
        return self._pipeline is not None

    @property
    def spans_dropped(self) -> int:
        """Spans lost so far: queue full, export failed, or ended after shutdown."""
        return self._pipeline.tally.dropped if self._pipeline else 0

    @property
    def export_failures(self) -> int:
        """Batches that could not be exported so far."""
        return self._pipeline.tally.failures if self._pipeline else 0

    def open_exchange(self, exchange: Exchange) -> ServerSpan:
        """Open the server span at the exchange's start and set `exchange.trace`."""
        fields = exchange.fields
        caller = trace_context.parse(exchange.headers, fields) if b"traceparent" in fields else None
        bag = trace_context.baggage(exchange.headers) if self._baggage and b"baggage" in fields else b""
        recorder = self._recorder
        if recorder is None:
            return self._pass_on(exchange, caller, bag)
        parent_id, state = None, b""
        links: Sequence[Link] = ()
        if caller is None:
            trace_id, flags = _begun(recorder.sampling)
        elif self._restart:
            trace_id, flags = _begun(recorder.sampling, caller)
            links = (Link(_context(caller)),)
        else:
            trace_id, parent_id, flags, state = caller
            if not recorder.sampling.follows:
                flags = flags & RANDOM | recorder.sampling.samples(int(trace_id, 16))
        span_id = (getrandbits(64) or 1).to_bytes(8).hex()
        exchange.trace = TraceIds(
            trace_id, span_id, flags & SAMPLED != 0, traceparent(trace_id, span_id, flags)
        )
        return TracedServerSpan(recorder, trace_id, span_id, flags, parent_id, state, bag, links)

    def open_work(self, exchange: Exchange, name: str, links: Sequence[SpanIds] = ()) -> ServerSpan:
        """Open a trace of its own around an exchange that no app asked for, and set `exchange.trace`.

        `links` are the requests that it is done for. With tracing off its ids are new and unsampled.
        """
        recorder = self._recorder
        if recorder is None:
            return self._pass_on(exchange, None, b"")
        trace_id, flags = _begun(recorder.sampling)
        span_id = (getrandbits(64) or 1).to_bytes(8).hex()
        exchange.trace = TraceIds(
            trace_id, span_id, flags & SAMPLED != 0, traceparent(trace_id, span_id, flags)
        )
        span = WorkSpan(recorder, trace_id, span_id, flags, links=references.links_to(links))
        span.name = name
        return span

    def job_finished(self, finished: JobSpan, *, link: bool) -> None:
        """Tell of a job that has ended; `link` stands for `jobs.span = "link"`. Odd values do no harm."""
        if self._recorder is not None:
            job.export(self._recorder, finished, link=link)

    def _pass_on(self, exchange: Exchange, caller: TraceContext | None, bag: bytes) -> ServerSpan:
        if caller is None:
            trace_id = (getrandbits(128) or 1).to_bytes(16).hex()
            span_id = (getrandbits(64) or 1).to_bytes(8).hex()
            caller = TraceContext(trace_id, span_id, RANDOM)
        trace_id, span_id, flags, state = caller
        parent = traceparent(trace_id, span_id, flags)
        exchange.trace = TraceIds(trace_id, span_id, flags & SAMPLED != 0, parent)
        return UntracedServerSpan(trace_context.propagated(parent, state, bag))

    def background(
        self,
        name: str,
        *,
        kind: background.Kind = "internal",
        attributes: Mapping[str, str | float | bool] | None = None,
        links: Sequence[SpanIds] = (),
    ) -> AbstractContextManager[background.BackgroundSpan]:
        """A root span around work of the gateway's own; an exception marks it as failed and goes on."""
        return background.root_span(self._background, name, kind, dict(attributes or {}), links)

    def instrument_client(self, client: httpx.AsyncClient) -> None:
        """Trace the requests of a control-plane client; with tracing off it stays as it is."""
        if self._pipeline is not None:
            background.instrument(client, self._pipeline.provider)

    async def shutdown(self, timeout: float) -> None:  # noqa: ASYNC109 - a deadline that is not an error
        """Export what is left within `timeout` seconds, off the event loop."""
        if self._pipeline is not None:
            await self._pipeline.shutdown(timeout)


def _begun(sampling: Sampling, linked: TraceContext | None = None) -> tuple[str, int]:
    """Id and flags of a new trace; a caller that is linked to decides as one whose trace goes on does."""
    trace_id = getrandbits(128) or 1
    if linked is not None and sampling.follows:
        sampled = linked.flags & SAMPLED
    else:
        sampled = sampling.samples(trace_id)
    return trace_id.to_bytes(16).hex(), RANDOM | sampled


def _context(caller: TraceContext) -> SpanContext:
    ids, flags = (int(caller.trace_id, 16), int(caller.parent_id, 16)), TraceFlags(caller.flags)
    state = CarriedState(caller.tracestate) if caller.tracestate else None
    return SpanContext(*ids, is_remote=True, trace_flags=flags, trace_state=state)


def _taker(processors: Sequence[CountedProcessor]) -> Callable[[LeanSpan], None]:
    """What hands a span to each processor; there is one, unless the environment asks for a console too."""
    if len(processors) == 1:
        return processors[0].take

    def take(span: LeanSpan) -> None:
        for processor in processors:
            processor.take(span)

    return take
