"""The bytes of a batch of spans are those that the SDK would have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway.spans.encoding import encode
from gateway.spans.lean import LeanSpan, LeanTracer, Place

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


class Kept:
    """Where lean spans go that have ended."""

    def __init__(self) -> None:
        self.spans: list[LeanSpan] = []

    def take(self, span: LeanSpan) -> None:
        self.spans.append(span)


@given(
    st.lists(
        st.tuples(
            TEXTS, st.sampled_from(SpanKind), CONTEXTS, st.none() | CONTEXTS, TIMES, TIMES, st.booleans()
        ),
        max_size=3,
    ),
    st.dictionaries(TEXTS.filter(bool), SCALARS, max_size=4),
    st.lists(st.builds(Link, CONTEXTS), max_size=2),
)
def test_lean_spans_are_told_as_the_sdk_tells_its_own(
    spans: list[tuple[str, SpanKind, SpanContext, SpanContext | None, int, int, bool]],
    attributes: dict[str, str | int | float | bool],
    links: list[Link],
) -> None:
    """What is exported of a span does not depend on who holds it until then."""
    kept = Kept()
    provider = TracerProvider(shutdown_on_exit=False)
    sdk = provider.get_tracer("a", "1")
    assert isinstance(sdk, SdkTracer)
    tracer = LeanTracer(sdk, InstrumentationScope("a", "1"), [kept], follows=True)
    for name, kind, context, parent, start, end, failed in spans:
        above = None if parent is None else Place.of(parent)
        span = LeanSpan(tracer, name, kind, Place.of(context), above, {}, start, links)
        span.end(attributes, failed=failed, at=end, events=[Event("b", {}, 1)])
    readable = [span.readable() for span in kept.spans]
    assert encode(kept.spans) == encode_spans(readable).SerializePartialToString()


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
