"""The bytes of a batch of spans are those that the SDK would have written."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NoOpTracer,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from gateway.config import Tracing
from gateway.exchange import Attempt, Exchange, Route, TraceIds
from gateway.spans import Spans
from gateway.spans.attributes import Origin
from gateway.spans.encoding import encode
from gateway.spans.lean import LeanSpan, Recorder
from gateway.spans.sampling import Sampling
from tests.support.tracing import CALLER, STARTED_NS, TRACE, from_caller

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
SCALARS = TEXTS | st.booleans() | NUMBERS | st.floats(allow_nan=False)
VALUES = (
    SCALARS | st.lists(TEXTS).map(tuple) | st.lists(NUMBERS).map(tuple) | st.lists(st.booleans()).map(tuple)
)
ATTRIBUTES = st.dictionaries(TEXTS.filter(bool), VALUES, max_size=6)
TIMES = st.integers(0, 2**64 - 1)
STATES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True),
    max_size=3,
).map(lambda pairs: TraceState(list(pairs.items())))
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.just(TraceFlags(TraceFlags.SAMPLED)),
    STATES,
)
STATUSES = st.sampled_from([Status(), Status(StatusCode.OK), Status(StatusCode.ERROR)]) | st.builds(
    Status, st.just(StatusCode.ERROR), TEXTS
)
RESOURCES = st.builds(Resource, ATTRIBUTES, st.sampled_from(["", "https://opentelemetry.io/schemas/1.30.0"]))
SCOPES = st.builds(
    InstrumentationScope,
    TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.dictionaries(TEXTS.filter(bool), SCALARS),
)


@st.composite
def batches(draw: st.DrawFn) -> list[ReadableSpan]:
    """Spans of up to two resources and scopes each, in any order."""
    resources = st.sampled_from(draw(st.lists(RESOURCES, min_size=1, max_size=2)))
    scopes = st.sampled_from(draw(st.lists(st.none() | SCOPES, min_size=1, max_size=2)))
    span = st.builds(
        ReadableSpan,
        TEXTS,
        context=CONTEXTS,
        parent=st.none() | CONTEXTS,
        resource=resources,
        attributes=ATTRIBUTES,
        events=st.lists(st.builds(Event, TEXTS, ATTRIBUTES, TIMES), max_size=2),
        links=st.lists(st.builds(Link, CONTEXTS, ATTRIBUTES), max_size=2),
        kind=st.sampled_from(SpanKind),
        status=STATUSES,
        start_time=TIMES,
        end_time=st.none() | TIMES,
        instrumentation_scope=scopes,
    )
    return draw(st.lists(span, max_size=5))


@given(batches())
def test_the_same_bytes_as_the_sdk(spans: list[ReadableSpan]) -> None:
    """Whatever spans hold, in whatever order they come."""
    assert encode(spans) == encode_spans(spans).SerializePartialToString()


SHORT = st.binary(max_size=40)
BYTES = SHORT | SHORT.map(lambda value: value * 60)
WORDS = st.sampled_from(["", "a", "GET", "502", "unmatched", "\ud800", "\N{EURO SIGN}" * 3_000]) | st.text()
LABELS = st.sampled_from(["", "a", "unmatched", "/jobs/imports/{id}"])
READINGS = st.floats(100, 1e6)
CALLERS = st.none() | st.sampled_from([b"", b"a=1", b"a@b=1 , c=2"])


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Whatever may come: a caller's trace or none, any bytes, any end."""
    headers = [(b"user-agent", draw(BYTES))] if draw(st.booleans()) else []
    if (state := draw(CALLERS)) is not None:
        headers += from_caller(draw(st.sampled_from(["01", "03"])), tracestate=state)
    return Exchange(
        method=draw(WORDS),
        raw_path=draw(BYTES),
        query=draw(BYTES),
        headers=headers,
        client=draw(st.none() | st.just("127.0.0.1")),
        host=draw(BYTES),
        started=100.0,
        started_ns=draw(st.sampled_from([0, STARTED_NS])),
        route=Route(draw(LABELS), draw(st.none() | LABELS), draw(st.none() | WORDS)),
        job_id=draw(st.none() | WORDS),
        status=draw(st.none() | st.integers(100, 599)),
        error_type=draw(st.none() | WORDS),
        read_result=draw(st.none() | LABELS),
        request_id=draw(st.none() | WORDS | st.text("0123456789abcdef-", max_size=130)),
        finished=draw(READINGS),
    )


ATTEMPTS = st.builds(
    Attempt,
    st.integers(0, 3),
    started=READINGS,
    finished=READINGS,
    status=st.none() | st.integers(100, 599),
    error_type=st.none() | WORDS,
    request_id=st.none() | WORDS,
    cancelled=st.booleans(),
)


@given(exchanges(), st.lists(ATTEMPTS, max_size=2), st.sampled_from(["continue", "restart"]), st.booleans())
def test_spans_of_exchanges_are_told_as_the_sdk_tells_its_own(
    exchange: Exchange, attempts: list[Attempt], trust: Literal["continue", "restart"], own: bool
) -> None:
    """What is exported of a span does not depend on who holds it until then, nor on what came before."""
    kept: list[LeanSpan] = []
    origin = Origin.of("https://x.example")
    scope = InstrumentationScope("a", "1")
    recorder = Recorder(Resource({"b": 1}), scope, kept.append, Sampling(True, 1.0, 2**64), origin)
    spans = Spans(Tracing(trust=trust), NoOpTracer(), recorder)
    server = spans.open_work(exchange, "watch job") if own else spans.open_exchange(exchange)
    server.link(TraceIds(TRACE, CALLER, sampled=True, response_header=b""))
    for attempt in attempts:
        server.attempt(exchange, attempt).end(exchange, attempt)
    server.end(exchange)
    assert len(kept) == len(attempts) + 1
    told = encode_spans([span.readable() for span in kept]).SerializePartialToString()
    assert encode(kept) == told
    assert encode(kept) == told


def a_span(**attributes: object) -> ReadableSpan:
    context = SpanContext(1, 2, is_remote=False)
    return ReadableSpan("a", context, attributes=attributes)  # type: ignore[arg-type]  # of any type, as a mistake may be


def test_equal_values_of_different_types_are_told_apart() -> None:
    """1, True and 1.0 are equal to a cache that does not look at types, and so are 0.0 and -0.0."""
    for value in (1, True, 1.0, 0.0, -0.0, (1,), (True,), False, 0):
        spans = [a_span(key=value)]
        assert encode(spans) == encode_spans(spans).SerializePartialToString(), value


def test_text_that_is_no_unicode_does_not_lose_the_batch() -> None:
    """Half a surrogate pair is shown as its escape."""
    request = ExportTraceServiceRequest.FromString(encode([a_span(key="a\ud800b")]))
    [span] = request.resource_spans[0].scope_spans[0].spans
    assert span.attributes[0].value.string_value == "a\\ud800b"


def test_what_otlp_cannot_say_is_refused() -> None:
    """A value of a type that attributes do not have is a mistake of ours; so is a span of no trace."""
    with pytest.raises(TypeError, match="OTLP has no value for a complex"):
        encode([a_span(key=1j)])
    with pytest.raises(TypeError, match="without a context"):
        encode([ReadableSpan("a")])
