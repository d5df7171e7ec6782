"""A finished job is one span in the trace of the request that created it, the same one however often told."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.config import Tracing
from gateway.exchange import TraceIds
from gateway.spans import JobSpan, Spans
from gateway.spans.attributes import JOB_ID_LENGTH, TEXT_LENGTH
from tests.support.otlp import OtlpReceiver, ReceivedSpan, otlp_receiver
from tests.support.tracing import CALLER, TRACE, UPSTREAM, an_exchange, spans_to, tell

SECOND = 1_000_000_000
CREATED = 1_700_000_000 * SECOND
REMOTE_PARENT = 0x200
CREATOR = TraceIds(TRACE, CALLER, sampled=True, response_header=b"")

JOB = JobSpan(
    kind="import",
    id="job-1",
    status="succeeded",
    error_code=None,
    created_ns=CREATED,
    finished_ns=CREATED + 90 * SECOND,
    first_seen=1_700_000_001.5,
    last_seen=1_700_000_095.0,
    history=(("notstarted", 1_700_000_001.5), ("running", 1_700_000_030.25), ("succeeded", 1_700_000_095.0)),
    created_in=CREATOR,
)


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


async def received(
    receiver: OtlpReceiver, *jobs: JobSpan, link: bool = False, tracing: Tracing | None = None
) -> list[ReceivedSpan]:
    """What an OTLP receiver gets of these jobs from a process of its own."""
    before = len(receiver.spans)
    spans = spans_to(receiver.url, tracing)
    for job in jobs:
        spans.job_finished(job, link=link)
    await spans.shutdown(10)
    assert (spans.spans_dropped, spans.export_failures) == (0, 0)
    return receiver.spans[before:]


@dataclass
class Encoded(SpanExporter):
    """Keeps spans as OTLP sends them."""

    spans: list[Span] = field(default_factory=list)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        message = encode_spans(spans)
        self.spans += [
            span for batch in message.resource_spans for group in batch.scope_spans for span in group.spans
        ]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to close."""


async def encoded(*jobs: JobSpan, link: bool = False) -> list[Span]:
    """The jobs' spans with their events whole."""
    exporter = Encoded()
    spans = Spans.create(Tracing(), {}, upstream=UPSTREAM, version="1", exporter=exporter)
    for job in jobs:
        spans.job_finished(job, link=link)
    await spans.shutdown(10)
    assert spans.spans_dropped == 0
    return exporter.spans


async def test_a_job_is_a_child_of_the_request_that_created_it(receiver: OtlpReceiver) -> None:
    """From the service's created to its finished time, in the first trace, with kind, id and status."""
    [span] = await received(receiver, JOB)
    assert (span.name, span.kind, span.trace_id, span.parent_id) == ("import job", "INTERNAL", TRACE, CALLER)
    assert span.flags & REMOTE_PARENT
    assert (span.start, span.end) == (CREATED, CREATED + 90 * SECOND)
    assert (span.status, span.status_message, span.links) == ("UNSET", "", ())
    assert span.attributes == {
        "az.digitaltwins.job.id": "job-1",
        "az.digitaltwins.job.kind": "import",
        "az.digitaltwins.job.status": "succeeded",
    }
    assert span.events == ("status notstarted", "status running", "status succeeded")
    assert span.scope == ("adt-gateway", "1.2.3")


async def test_with_link_a_job_is_a_trace_of_its_own(receiver: OtlpReceiver) -> None:
    """`jobs.span = "link"`: a root span that links to the creating request, for collectors that drop late."""
    [span] = await received(receiver, JOB, link=True)
    assert span.parent_id == ""
    assert span.trace_id != TRACE
    assert [(link.trace_id, link.span_id) for link in span.links] == [(TRACE, CALLER)]


@pytest.mark.parametrize("link", [True, False])
async def test_a_job_of_an_unknown_request_is_a_root_span(receiver: OtlpReceiver, *, link: bool) -> None:
    """A foreign job has a trace of its own, and links to nothing."""
    [span] = await received(receiver, replace(JOB, kind="deletion", created_in=None), link=link)
    assert (span.name, span.parent_id, span.links) == ("deletion job", "", ())


@pytest.mark.parametrize("link", [True, False])
async def test_the_creations_flag_decides(receiver: OtlpReceiver, *, link: bool) -> None:
    """Sampled at its creation a job is told, whatever the sampler says now; unsampled it never is."""
    sampled, unsampled = JOB, replace(JOB, created_in=CREATOR._replace(sampled=False))
    assert len(await received(receiver, sampled, link=link, tracing=Tracing(sample_ratio=0.0))) == 1
    assert await received(receiver, unsampled, link=link) == []


async def test_the_sampler_decides_without_a_creating_request(receiver: OtlpReceiver) -> None:
    """As for any root span; the derived trace id spreads jobs over the ratio, alike in every replica."""
    jobs = [replace(JOB, id=str(number), created_in=None) for number in range(200)]
    assert await received(receiver, *jobs, tracing=Tracing(sample_ratio=0.0)) == []
    some = await received(receiver, *jobs, tracing=Tracing(sample_ratio=0.5))
    assert 50 < len(some) < 150
    again = await received(receiver, *jobs, tracing=Tracing(sample_ratio=0.5))
    assert {span.trace_id for span in again} == {span.trace_id for span in some}


@pytest.mark.parametrize(
    ("status", "code", "shown", "error_type"),
    [
        ("failed", "DTDLParsingError", "ERROR", "DTDLParsingError"),
        ("failed", None, "ERROR", "_OTHER"),
        ("cancelled", None, "UNSET", None),
        ("cancelled", "Cancelled", "UNSET", None),
        ("unknown", "Odd", "UNSET", None),
    ],
)
async def test_only_a_failed_job_is_an_error(
    receiver: OtlpReceiver, status: str, code: str | None, shown: str, error_type: str | None
) -> None:
    """Status Error with the job's own code; who cancels a job gets what they asked for."""
    [span] = await received(receiver, replace(JOB, status=status, error_code=code))
    assert (span.status, span.status_message) == (shown, "")
    assert span.attributes.get("error.type") == error_type


@pytest.mark.parametrize("link", [True, False])
async def test_a_repeated_export_is_the_same_span(receiver: OtlpReceiver, *, link: bool) -> None:
    """After a crash and a restart the job's ids are those of before, whatever was learned since."""
    [first] = await received(receiver, JOB, link=link)
    [second] = await received(receiver, replace(JOB, last_seen=1_800_000_000.0, history=()), link=link)
    assert (first.trace_id, first.span_id) == (second.trace_id, second.span_id)


async def test_different_jobs_are_different_spans(receiver: OtlpReceiver) -> None:
    """Kind, id and created time all count, and where one part ends is no matter of chance."""
    jobs = [
        JOB,
        replace(JOB, kind="deletion"),
        replace(JOB, id="job-2"),
        replace(JOB, created_ns=CREATED + 100),
        replace(JOB, created_ns=None),
        replace(JOB, created_ns=None, first_seen=1_700_000_001.6),
        replace(JOB, id="a", created_ns=11),
        replace(JOB, id="a1", created_ns=1),
        replace(JOB, id="importa", kind="", created_ns=11),
    ]
    spans = await received(receiver, *(replace(job, created_in=None) for job in jobs))
    assert len({span.span_id for span in spans}) == len({span.trace_id for span in spans}) == len(jobs)


async def test_the_gateways_times_stand_in_for_absent_ones(receiver: OtlpReceiver) -> None:
    """Without created and finished times the job spans what the gateway saw of it."""
    [span] = await received(receiver, replace(JOB, created_ns=None, finished_ns=None))
    assert (span.start, span.end) == (1_700_000_001_500_000_000, 1_700_000_095_000_000_000)


async def test_the_end_is_never_before_the_start(receiver: OtlpReceiver) -> None:
    """Clocks that disagree make a span of no length, not one of negative length."""
    finished_first = replace(JOB, finished_ns=CREATED - SECOND)
    seen_first = replace(JOB, finished_ns=None, last_seen=1_600_000_000.0)
    for span in await received(receiver, finished_first, seen_first):
        assert (span.start, span.end) == (CREATED, CREATED)


async def test_each_transition_is_an_event_within_the_span() -> None:
    """An event tells the new status and when the gateway saw it, kept within the service's times."""
    early, late = ("notstarted", 1_600_000_000.0), ("succeeded", 1_700_000_095.0)
    [span] = await encoded(replace(JOB, history=(early, ("running", 1_700_000_030.25), late)))
    assert [(event.name, event.time_unix_nano) for event in span.events] == [
        ("status notstarted", CREATED),
        ("status running", 1_700_000_030_250_000_000),
        ("status succeeded", CREATED + 90 * SECOND),
    ]
    assert [{pair.key: pair.value.string_value for pair in event.attributes} for event in span.events] == [
        {"az.digitaltwins.job.status": status} for status in ("notstarted", "running", "succeeded")
    ]


@pytest.mark.parametrize(
    "ids",
    [("", ""), ("zz", CALLER), ("0" * 32, CALLER), (TRACE, "0" * 16), ("f" * 33, CALLER), (TRACE, "-1")],
)
async def test_ids_that_name_no_span_count_as_absent(receiver: OtlpReceiver, ids: tuple[str, str]) -> None:
    """A creating request that a damaged store misremembers costs the parent, not the span."""
    job = replace(JOB, created_in=CREATOR._replace(trace_id=ids[0], span_id=ids[1]))
    [span] = await received(receiver, job)
    assert (span.parent_id, span.links) == ("", ())


async def test_ids_are_bounded_and_printable(receiver: OtlpReceiver) -> None:
    """A job's id is the same on its own span and on those of its requests, whatever it holds."""
    odd = "a\n\udcff" + "x" * 10_000
    [span] = await received(receiver, replace(JOB, id=odd, status="failed", error_code="e" * 9_999))
    shown = "a\ufffd\ufffd" + "x" * (JOB_ID_LENGTH - 3)
    assert span.attributes["az.digitaltwins.job.id"] == shown
    assert len(str(span.attributes["error.type"])) == TEXT_LENGTH
    spans = spans_to(receiver.url)
    exchange = an_exchange()
    exchange.job_id = odd
    tell(spans, exchange, 200)
    await spans.shutdown(10)
    assert [span.attributes["az.digitaltwins.job.id"] for span in receiver.spans[1:]] == [shown, shown]


TIMES = st.floats() | st.floats(0, 2e9)


@settings(max_examples=100)
@given(
    st.builds(
        JobSpan,
        kind=st.sampled_from(["import", "deletion"]),
        id=st.text(),
        status=st.text(),
        error_code=st.none() | st.text(),
        created_ns=st.none() | st.integers(),
        finished_ns=st.none() | st.integers(),
        first_seen=TIMES,
        last_seen=TIMES,
        history=st.lists(st.tuples(st.text(), TIMES), max_size=3).map(tuple),
        created_in=st.none() | st.builds(TraceIds, st.text(), st.text(), st.just(True), st.binary()),
    ),
    st.booleans(),
)
async def test_any_job_makes_a_span_that_can_be_exported(job: JobSpan, link: bool) -> None:
    """Absurd times, ids and texts never raise, lose no batch, and never turn time round."""
    [span] = await encoded(job, link=link)
    assert span.start_time_unix_nano <= span.end_time_unix_nano
    for event in span.events:
        assert span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano


async def test_with_tracing_off_no_job_is_told(receiver: OtlpReceiver) -> None:
    """Nothing is made where nothing is exported."""
    spans = spans_to(receiver.url, environ={"OTEL_SDK_DISABLED": "true"})
    spans.job_finished(JOB, link=False)
    await spans.shutdown(10)
    assert receiver.requests == []


async def test_a_job_that_ends_after_the_shutdown_is_counted(receiver: OtlpReceiver) -> None:
    """A span that can no longer leave is a loss and no error."""
    spans = spans_to(receiver.url)
    await spans.shutdown(10)
    spans.job_finished(JOB, link=False)
    assert spans.spans_dropped == 1
