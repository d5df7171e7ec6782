"""The room's one object: opens the spans of exchanges and of own work, tells of jobs, closes the export."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import httpx
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NoOpTracer, SpanKind, Tracer, TraceState

from gateway import trace_context
from gateway.config import Tracing
from gateway.exchange import Exchange, TraceIds
from gateway.spans import attributes, background, environment, job, references, sampling
from gateway.spans.export import CountedProcessor, Pipeline, Tally
from gateway.spans.job import JobSpan
from gateway.spans.lean import NO_STATE, LeanSpan, LeanTracer, Place
from gateway.spans.recording import Recorder, ServerSpan, TracedServerSpan, WorkSpan
from gateway.spans.references import SpanIds
from gateway.trace_context import TraceContext

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
        ids: IdGenerator,
        background: Tracer,
        recorder: Recorder | None = None,
        pipeline: Pipeline | None = None,
    ) -> None:
        self._restart = settings.trust == "restart"
        self._baggage = settings.baggage == "pass"
        self._ids = ids
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
        ids: IdGenerator | None = None,
    ) -> "Spans":
        """Build from `tracing` and the `OTEL_*` variables; `upstream` is the base URL that client spans name.

        Raises TracingConfigError where a variable asks for what is not supported.
        """
        ids = ids or RandomIdGenerator()
        origin = attributes.Origin.of(upstream)
        exporters = environment.exporters(settings, environ) if exporter is None else [exporter]
        if not exporters or environment.disabled(environ):
            return cls(settings, ids, NoOpTracer())
        provider = TracerProvider(
            sampler=sampling.sampler(settings, environ),
            resource=environment.resource(environ, version),
            shutdown_on_exit=False,
            id_generator=ids,
        )
        tally, options = Tally(), environment.batch_options(environ)
        processors = [CountedProcessor(each, options, tally) for each in exporters]
        pipeline = Pipeline(provider, processors, tally)
        tracer = provider.get_tracer(SCOPE, version)
        if not isinstance(tracer, SdkTracer):
            raise TypeError("an SDK provider makes SDK tracers")
        follows = sampling.follows_callers(settings, environ)
        lean = LeanTracer(tracer, InstrumentationScope(SCOPE, version), processors, follows=follows)
        return cls(settings, ids, tracer, Recorder(lean, ids, origin), pipeline)

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
        """Open the server span at the exchange's start, once the route is known, and set `exchange.trace`."""
        caller = trace_context.parse(exchange.headers)
        bag = trace_context.baggage(exchange.headers) if self._baggage else b""
        if self._recorder is None:
            return self._pass_on(exchange, caller, bag)
        remote = None if caller is None else _remote(caller)
        state = b"" if caller is None or self._restart else caller.tracestate
        span = self._recorder.tracer.entry(
            attributes.span_name(exchange),
            SpanKind.SERVER,
            None if self._restart else remote,
            attributes.server_start(exchange),
            exchange.started_ns,
            [Link(remote.full())] if self._restart and remote is not None else [],
        )
        exchange.trace = _ids_of(span)
        return TracedServerSpan(self._recorder, span, state=state, bag=bag)

    def open_work(self, exchange: Exchange, name: str, links: Sequence[SpanIds] = ()) -> ServerSpan:
        """Open a trace of its own around an exchange that no app asked for, and set `exchange.trace`.

        `links` are the requests that it is done for. With tracing off its ids are new and unsampled.
        """
        if self._recorder is None:
            return self._pass_on(exchange, None, b"")
        span = self._recorder.tracer.entry(
            name,
            SpanKind.INTERNAL,
            None,
            attributes.work_start(exchange),
            exchange.started_ns,
            references.links_to(links),
        )
        exchange.trace = _ids_of(span)
        return WorkSpan(self._recorder, span, state=b"", bag=b"")

    def job_finished(self, finished: JobSpan, *, link: bool) -> None:
        """Tell of a job that has ended; `link` stands for `jobs.span = "link"`. Odd values do no harm."""
        if self._recorder is not None:
            job.export(self._recorder.tracer, finished, link=link)

    def _pass_on(self, exchange: Exchange, caller: TraceContext | None, bag: bytes) -> ServerSpan:
        if caller is None:
            ids = self._ids
            trace_id, span_id = f"{ids.generate_trace_id():032x}", f"{ids.generate_span_id():016x}"
            caller = TraceContext(trace_id, span_id, trace_context.RANDOM)
        parent = trace_context.traceparent(caller.trace_id, caller.parent_id, caller.flags)
        exchange.trace = _ids(caller.trace_id, caller.parent_id, caller.flags)
        return ServerSpan(trace_context.propagated(parent, caller.tracestate, bag))

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


def _ids_of(span: LeanSpan) -> TraceIds:
    own = span.context
    return _ids(f"{own.trace_id:032x}", f"{own.span_id:016x}", own.trace_flags)


def _ids(trace_id: str, span_id: str, flags: int) -> TraceIds:
    return TraceIds(
        trace_id,
        span_id,
        sampled=bool(flags & trace_context.SAMPLED),
        response_header=trace_context.traceparent(trace_id, span_id, flags),
    )


def _remote(caller: TraceContext) -> Place:
    return Place(
        int(caller.trace_id, 16),
        int(caller.parent_id, 16),
        caller.flags,
        is_remote=True,
        trace_state=_CarriedState(caller.tracestate) if caller.tracestate else NO_STATE,
    )


class _CarriedState(TraceState):
    """A tracestate as it came, for the exported span; the stock class refuses keys that Level 2 allows."""

    def __init__(self, line: bytes) -> None:
        super().__init__()
        members = (part.strip(" \t").partition("=") for part in line.decode().split(","))
        self._dict = {key: value for key, _, value in members}
