"""Continued, restarted, unsampled or switched off: which ids go where, and who decides."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from gateway.config import Tracing
from gateway.spans.sampling import Sampling
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.tracing import (
    CALLER,
    SERVER_NAME,
    TRACE,
    an_exchange,
    from_caller,
    spans_to,
    tell,
)


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


async def test_an_invalid_context_starts_a_new_trace_and_drops_its_state(receiver: OtlpReceiver) -> None:
    """A malformed or repeated traceparent is not continued and its tracestate goes nowhere."""
    spans = spans_to(receiver.url)
    exchange = an_exchange([*from_caller(), *from_caller(tracestate=b"a=1")])
    [sent] = tell(spans, exchange, 200)
    await spans.shutdown(10)
    server = receiver.named(SERVER_NAME, "SERVER")
    assert server.trace_id != TRACE
    assert (server.parent_id, server.links) == ("", ())
    assert [name for name, _ in sent] == [b"traceparent"]
    assert sent[0][1].endswith(b"-03")


@pytest.mark.parametrize("flags", ["00", "02"])
async def test_an_unsampled_trace_is_not_exported_but_has_fresh_ids(
    receiver: OtlpReceiver, flags: str
) -> None:
    """The caller's decision is passed on with a new span id for each attempt."""
    spans = spans_to(receiver.url)
    exchange = an_exchange(from_caller(flags, tracestate=b"a=1"))
    first, second = tell(spans, exchange, 401, 200)
    await spans.shutdown(10)
    seen = {CALLER, exchange.trace.span_id, *(sent[0][1].decode().split("-")[2] for sent in (first, second))}
    assert len(seen) == 4
    assert exchange.trace.response_header == f"00-{TRACE}-{exchange.trace.span_id}-{flags}".encode()
    assert not exchange.trace.sampled
    assert first[0][1].startswith(f"00-{TRACE}-".encode())
    assert first[0][1].endswith(flags.encode())
    assert first[1] == (b"tracestate", b"a=1")
    assert receiver.requests == []


async def test_restart_begins_a_new_trace_that_links_to_the_caller(receiver: OtlpReceiver) -> None:
    """With `tracing.trust = restart` the caller's ids survive as a link only."""
    spans = spans_to(receiver.url, Tracing(trust="restart"))
    [sent] = tell(spans, an_exchange(from_caller(tracestate=b"a=1")), 200)
    await spans.shutdown(10)
    server = receiver.named(SERVER_NAME, "SERVER")
    [link] = server.links
    assert (link.trace_id, link.span_id) == (TRACE, CALLER)
    assert server.trace_id != TRACE
    assert server.parent_id == ""
    assert [name for name, _ in sent] == [b"traceparent"]
    assert receiver.named(SERVER_NAME, "CLIENT").trace_id == server.trace_id


async def test_baggage_is_dropped_where_it_is_malformed_or_unwanted() -> None:
    """Bad baggage never fails a request, and `tracing.baggage = drop` sends none."""
    for settings, line in ((Tracing(), b"no baggage"), (Tracing(baggage="drop"), b"k=v")):
        [sent] = tell(spans_to(None, settings), an_exchange([(b"baggage", line)]), 200)
        assert [name for name, _ in sent] == [b"traceparent"]


@pytest.mark.parametrize(
    ("url", "environ"), [(None, {}), ("http://127.0.0.1:9/v1/traces", {"OTEL_SDK_DISABLED": " True "})]
)
async def test_with_tracing_off_a_valid_context_passes_unchanged(
    url: str | None, environ: dict[str, str]
) -> None:
    """The caller stays the upstream's parent, because a span of ours would never be seen."""
    spans = spans_to(url, environ=environ)
    inbound = from_caller("01", tracestate=b"a=1, b=2", baggage=b"k=v")
    exchange = an_exchange(inbound)
    assert tell(spans, exchange, 401, 200) == [tuple(inbound), tuple(inbound)]
    assert (exchange.trace.trace_id, exchange.trace.span_id) == (TRACE, CALLER)
    assert exchange.trace.response_header == inbound[0][1]
    assert not spans.on
    await spans.shutdown(1)


async def test_with_tracing_off_an_invalid_context_is_replaced_by_an_unsampled_one() -> None:
    """Logs and headers still carry one id, and nothing pretends to be recorded."""
    spans = spans_to(None)
    exchange = an_exchange([(b"traceparent", b"00-zz"), (b"tracestate", b"a=1")])
    [sent] = tell(spans, exchange, 200)
    trace = exchange.trace
    assert sent == ((b"traceparent", f"00-{trace.trace_id}-{trace.span_id}-02".encode()),)
    assert int(trace.trace_id, 16)
    assert not trace.sampled
    assert trace.response_header == sent[0][1]


@pytest.mark.parametrize("trust", ["continue", "restart"])
@pytest.mark.parametrize(
    ("honour", "flags", "sampled"),
    [
        (True, "01", True),
        (True, "00", False),
        (False, "01", False),
        (False, "00", False),
        (True, None, False),
    ],
)
async def test_the_callers_flag_or_the_ratio_decides(  # one case per row of the decision table
    receiver: OtlpReceiver, trust: str, honour: bool, flags: str | None, sampled: bool
) -> None:
    """With `honour_sampled` a caller's flag beats the ratio, also for a restarted trace; without it never."""
    settings = Tracing.model_validate({"trust": trust, "honour_sampled": honour, "sample_ratio": 0.0})
    spans = spans_to(receiver.url, settings)
    exchange = an_exchange(from_caller(flags) if flags else [])
    tell(spans, exchange, 200)
    await spans.shutdown(10)
    assert exchange.trace.sampled is sampled
    assert bool(receiver.spans) is sampled


@given(st.floats(0, 1), st.integers(1, 2**128 - 1))
def test_the_ratio_is_decided_by_the_trace_id(ratio: float, trace_id: int) -> None:
    """As the SDK decides by its low half, so that every hop decides alike."""
    sampling = Sampling.of(Tracing(sample_ratio=ratio), {})
    decided = TraceIdRatioBased(ratio).should_sample(None, trace_id, "a").decision
    assert sampling.samples(trace_id) is (decided is Decision.RECORD_AND_SAMPLE)


@pytest.mark.parametrize(
    ("environ", "sampled_caller", "unsampled_caller", "no_caller"),
    [
        ({}, True, False, True),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, True, True, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False, False, False),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, True, False, True),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, True, False, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False, False, False),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
            True,
            False,
            False,
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            True,
            False,
            True,
        ),
        ({"OTEL_TRACES_SAMPLER": "TraceIdRatio"}, True, True, True),
        ({"OTEL_TRACES_SAMPLER": "xray"}, True, False, True),
    ],
)
async def test_the_sampler_variables_decide_where_sample_ratio_is_unset(
    receiver: OtlpReceiver,
    environ: dict[str, str],
    sampled_caller: bool,
    unsampled_caller: bool,
    no_caller: bool,
) -> None:
    """Each of the six samplers; nonsense falls back to the default."""
    spans = spans_to(receiver.url, environ=environ)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
    decisions = []
    for lines in ([(b"traceparent", f"{parent}01".encode())], [(b"traceparent", f"{parent}00".encode())], []):
        exchange = an_exchange(lines)
        tell(spans, exchange, 200)
        decisions.append(exchange.trace.sampled)
    await spans.shutdown(10)
    assert decisions == [sampled_caller, unsampled_caller, no_caller]
    assert len(receiver.spans) == 2 * sum(decisions)


async def test_sample_ratio_wins_over_the_sampler_variables(receiver: OtlpReceiver) -> None:
    """The configuration's own key decides."""
    spans = spans_to(receiver.url, Tracing(sample_ratio=0.0), {"OTEL_TRACES_SAMPLER": "always_on"})
    tell(spans, an_exchange(), 200)
    await spans.shutdown(10)
    assert receiver.requests == []
