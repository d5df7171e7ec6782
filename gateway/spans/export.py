"""Export in batches off the event loop, where every lost span is counted and nothing is logged twice.

The SDK's batch processor drops the oldest span when its queue is full and tells nobody. Here a span needs a
place before it may enter the queue; without one it is counted and left out, so the SDK's never overflows.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from gateway.spans.lean import LeanSpan

_log = logging.getLogger("gateway.spans")
_OTLP_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class Tally:
    """Counts that several threads write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.dropped = 0
        """Spans that never arrived: queue full, export failed, or ended after shutdown."""
        self.failures = 0
        """Batches that could not be exported."""

    def drop(self, spans: int) -> None:
        """Count spans that are lost."""
        with self._lock:
            self.dropped += spans

    def fail(self, spans: int) -> None:
        """Count a failed export and the spans lost with it."""
        with self._lock:
            self.dropped += spans
            self.failures += 1


class Places:
    """How many spans may still be queued; a semaphore that nobody waits at takes five times as long."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = count

    def enter(self) -> bool:
        """Take a place, if there is one."""
        with self._lock:
            free = self._free > 0
            self._free -= free
        return free

    def release(self, count: int) -> None:
        """Give places back."""
        with self._lock:
            self._free += count


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The `OTEL_BSP_*` settings; times are milliseconds."""

    queue: int
    batch: int
    delay: int


class _FirstComplaint(logging.Filter):
    """Keeps the exporter's complaints out of the log, and the first of each export for our own line."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def filter(self, record: logging.LogRecord) -> bool:
        if not self.text:
            args = record.args if isinstance(record.args, tuple) else ()
            # The text of an exception holds the endpoint with its query; its class says enough.
            shown = tuple(type(arg).__name__ if isinstance(arg, Exception) else arg for arg in args)
            self.text = str(record.msg) % shown
        return False


class CountedExporter(SpanExporter):
    """Wraps an exporter: counts what fails and logs a change of state once.

    The exporter gets lean spans as they are where it has `reads_lean`, else the SDK's.
    """

    def __init__(self, inner: SpanExporter, tally: Tally, places: "Places") -> None:
        self._inner = inner
        self._reads_lean = getattr(inner, "reads_lean", False)
        self._tally = tally
        self._places = places
        self._failing = False
        self._closed = threading.Event()
        self._complaint = _FirstComplaint()
        logging.getLogger(_OTLP_LOGGER).addFilter(self._complaint)

    def export(self, spans: Sequence[ReadableSpan | LeanSpan]) -> SpanExportResult:
        """Export one batch; a failure is counted, never raised, for the SDK would log each one."""
        self._places.release(len(spans))
        self._complaint.text = ""
        try:
            result = self._inner.export(cast("Any", spans) if self._reads_lean else _readable(spans))
        except Exception as error:  # noqa: BLE001 - whatever an exporter raises, the batch is lost
            result = SpanExportResult.FAILURE
            self._complaint.text = type(error).__name__
        if result is SpanExportResult.SUCCESS:
            self._works()
        else:
            self._tally.fail(len(spans))
            self._fails()
        return result

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            _log.info("spans are exported again")

    def _fails(self) -> None:
        if not self._failing and not self._closed.is_set():
            self._failing = True
            _log.warning("spans are not exported and will be lost: %s", self._complaint.text)

    def shutdown(self) -> None:
        """Close the exporter, which also ends its waiting between retries; once."""
        if not self._closed.is_set():
            self._closed.set()
            self._inner.shutdown()

    def release_log(self) -> None:
        """Give the exporter's logger back."""
        logging.getLogger(_OTLP_LOGGER).removeFilter(self._complaint)


class CountedProcessor(BatchSpanProcessor):
    """The SDK's batch processor behind a counted number of places."""

    def __init__(self, inner: SpanExporter, options: BatchOptions, tally: Tally) -> None:
        self._tally = tally
        self._places = Places(options.queue)
        self._open = True
        self.exporter = CountedExporter(inner, tally, self._places)
        super().__init__(self.exporter, options.queue, options.delay, options.batch)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or count it as dropped."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.take(span)

    def take(self, span: ReadableSpan | LeanSpan) -> None:
        """Queue a span that is to be exported, or count it as dropped."""
        if self._open and self._places.enter():
            # The queue asks nothing of what is in it.
            self._batch_processor.emit(cast("Any", span))
        else:
            self._tally.drop(1)

    def shutdown(self) -> None:
        """Export what is queued and close; blocks, so only ever on a thread of its own."""
        self._open = False
        super().shutdown()  # type: ignore[no-untyped-call]  # the SDK left it untyped
        self.exporter.release_log()


def _readable(spans: Sequence[ReadableSpan | LeanSpan]) -> list[ReadableSpan]:
    return [span.readable() if isinstance(span, LeanSpan) else span for span in spans]


class Pipeline:
    """Provider, processors and counts of one process, and their bounded end."""

    def __init__(
        self, provider: TracerProvider, processors: Sequence[CountedProcessor], tally: Tally
    ) -> None:
        self.provider = provider
        self.tally = tally
        self._processors = processors
        for processor in processors:
            provider.add_span_processor(processor)

    async def shutdown(self, timeout: float) -> None:  # noqa: ASYNC109 - a deadline that is not an error
        """Flush for at most `timeout` seconds, then give up.

        A daemon thread does it: one of the loop's own executor would be joined at exit, and the SDK's time
        limits do not bind.
        """
        loop = asyncio.get_running_loop()
        flushed = asyncio.Event()

        def flush() -> None:
            self.provider.shutdown()
            # After a timeout the loop may be gone, and nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(flushed.set)

        threading.Thread(target=flush, name="span-flush", daemon=True).start()
        try:
            async with asyncio.timeout(timeout):
                await flushed.wait()
        except TimeoutError:
            _log.warning("spans were not flushed within %g s; the rest is lost", timeout)
            for processor in self._processors:
                processor.exporter.shutdown()
