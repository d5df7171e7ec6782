"""Spans leave in batches off the event loop; every lost one is counted, and the log stays quiet."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from functools import partial

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.config import Tracing
from gateway.spans import Spans
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.tracing import UPSTREAM, an_exchange, spans_to, tell

SMALL = {"OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


def tell_two_spans(spans: Spans, times: int = 1) -> None:
    for _ in range(times):
        tell(spans, an_exchange(), 200)


def has_requests(count: int, receiver: OtlpReceiver) -> bool:
    return len(receiver.requests) == count


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_full_queue_drops_and_counts_what_does_not_fit(receiver: OtlpReceiver) -> None:
    """Spans beyond queue and batch under way are counted, the others arrive once the collector answers."""
    receiver.hold = True
    spans = spans_to(receiver.url, environ=SMALL)
    tell_two_spans(spans)
    await receiver.wait_for(partial(has_requests, 1))
    tell_two_spans(spans, times=10)
    assert (spans.spans_dropped, spans.export_failures) == (16, 0)
    await receiver.release()
    await spans.shutdown(10)
    assert len(receiver.spans) == 6


async def test_failed_exports_are_counted_and_logged_once_per_change(
    receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A collector that refuses costs one warning, and one line when it works again."""
    caplog.set_level(logging.INFO)
    receiver.status = 401
    spans = spans_to(receiver.url, environ=SMALL)
    for exports in (1, 2, 3):
        tell_two_spans(spans)
        await receiver.wait_for(partial(has_requests, exports))
    receiver.status = 200
    tell_two_spans(spans)
    await receiver.wait_for(2)
    await spans.shutdown(10)
    assert (spans.spans_dropped, spans.export_failures) == (6, 3)
    [lost] = warnings_of(caplog)
    assert lost.startswith("spans are not exported and will be lost: ")
    assert "401" in lost
    assert [record.getMessage() for record in caplog.records if record.name == "gateway.spans"] == [
        lost,
        "spans are exported again",
    ]


async def test_a_collector_that_is_down_costs_spans_but_no_request(
    receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens: losses are counted, and the warning shows the reason but no secret of the endpoint."""
    closed = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    environ = SMALL | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1.5"}
    spans = spans_to(f"http://127.0.0.1:{port}/v1/traces?token=secret", environ=environ)
    tell_two_spans(spans)
    await spans.shutdown(10)
    assert (spans.spans_dropped, spans.export_failures) == (2, 1)
    [lost] = warnings_of(caplog)
    assert "ConnectionError" in lost
    assert "secret" not in caplog.text


async def test_a_collector_that_never_answers_is_given_up_after_the_timeout(receiver: OtlpReceiver) -> None:
    """`OTEL_EXPORTER_OTLP_TIMEOUT` bounds an export."""
    receiver.hold = True
    spans = spans_to(receiver.url, environ=SMALL | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"})
    tell_two_spans(spans)
    await spans.shutdown(10)
    assert (spans.spans_dropped, spans.export_failures) == (2, 1)


async def test_spans_that_fill_no_batch_leave_after_the_delay(receiver: OtlpReceiver) -> None:
    """`OTEL_BSP_SCHEDULE_DELAY` bounds how long a span waits, time after time."""
    spans = spans_to(receiver.url, environ={"OTEL_BSP_SCHEDULE_DELAY": "10"})
    for arrived in (2, 4):
        tell_two_spans(spans)
        await receiver.wait_for(arrived)
    await spans.shutdown(10)
    assert len(receiver.spans) == 4


async def test_shutdown_flushes_what_is_queued(receiver: OtlpReceiver) -> None:
    """Spans that wait for the next batch leave before the process does, once."""
    spans = spans_to(receiver.url)
    tell_two_spans(spans, times=5)
    assert receiver.requests == []
    await spans.shutdown(10)
    assert len(receiver.spans) == 10
    await spans.shutdown(10)
    assert len(receiver.requests) == 1


async def test_shutdown_is_bounded_in_time(receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture) -> None:
    """A collector that hangs does not keep the process; the log says that spans are lost."""
    receiver.hold = True
    spans = spans_to(receiver.url)
    tell_two_spans(spans)
    await spans.shutdown(0.05)
    assert warnings_of(caplog) == ["spans were not flushed within 0.05 s; the rest is lost"]
    assert receiver.spans == []


async def test_a_span_that_ends_after_shutdown_is_counted(receiver: OtlpReceiver) -> None:
    """An exchange that outlives the flush is a loss and no error."""
    spans = spans_to(receiver.url)
    exchange = an_exchange()
    server = spans.open_exchange(exchange)
    await spans.shutdown(10)
    server.end(exchange)
    assert spans.spans_dropped == 1


class Broken(SpanExporter):
    """An exporter with a bug."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError(f"secret in {len(spans)} spans")

    def shutdown(self) -> None:
        """Nothing to close."""


async def test_an_exporter_that_raises_is_a_failed_export(caplog: pytest.LogCaptureFixture) -> None:
    """The class of the error is logged once, its text never."""
    spans = Spans.create(Tracing(), {}, upstream=UPSTREAM, version="1", exporter=Broken())
    tell_two_spans(spans, times=3)
    await spans.shutdown(10)
    assert (spans.spans_dropped, spans.export_failures) == (6, 1)
    assert warnings_of(caplog) == ["spans are not exported and will be lost: RuntimeError"]
