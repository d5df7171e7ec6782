"""Export in batches off the event loop, where every lost span is counted and nothing is logged twice.

The SDK's batch processor drops the oldest span when its queue is full and tells nobody, and asks for the
process's id with every span. Ours leaves out the latest and counts it.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.spans.lean import LeanSpan

_log = logging.getLogger("gateway.spans")
_OTLP_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_LAST_EXPORTS = 30.0
"""Seconds for what is queued at the end, as in the SDK; who waits for that has less patience."""


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

    def __init__(self, inner: SpanExporter, tally: Tally) -> None:
        self._inner = inner
        self._reads_lean = getattr(inner, "reads_lean", False)
        self._tally = tally
        self._failing = False
        self._closed = threading.Event()
        self._complaint = _FirstComplaint()
        logging.getLogger(_OTLP_LOGGER).addFilter(self._complaint)

    def export(self, spans: Sequence[ReadableSpan | LeanSpan]) -> SpanExportResult:
        """Export one batch; a failure is counted, never raised, for it would end the thread."""
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


class CountedProcessor(SpanProcessor):
    """A bounded queue and the thread that exports it: whole batches at once, the rest after a delay.

    The thread's own requests make no spans: only clients that were given to us to trace do.
    """

    def __init__(self, inner: SpanExporter, options: BatchOptions, tally: Tally) -> None:
        self.exporter = CountedExporter(inner, tally)
        self._tally = tally
        self._size = options.queue
        """Places; none once it is closed."""
        self._batch, self._nearly = options.batch, options.batch - 1
        self._delay = options.delay / 1_000
        # Its methods in C are each done whole, whichever threads call them.
        self._queue: deque[ReadableSpan | LeanSpan] = deque()
        self._wake = threading.Event()
        self._open = True
        self._thread = threading.Thread(target=self._work, name="span-export", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or count it as dropped."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.take(span)

    def take(self, span: ReadableSpan | LeanSpan) -> None:
        """Queue a span that is to be exported, or count it as dropped."""
        if len(self._queue) >= self._nearly:
            if len(self._queue) >= self._size:
                self._tally.drop(1)
                return
            self._wake.set()
        self._queue.append(span)

    def _work(self) -> None:
        while self._open:
            least = self._batch if self._wake.wait(self._delay) else 1
            self._wake.clear()
            while len(self._queue) >= least:
                self._export()
                least = self._batch
        while self._queue:
            self._export()

    def _export(self) -> None:
        queue = self._queue
        self.exporter.export([queue.popleft() for _ in range(min(self._batch, len(queue)))])

    def shutdown(self) -> None:
        """Export what is queued and close; blocks, so only ever on a thread of its own."""
        self._open = False
        self._size = self._nearly = 0
        self._wake.set()
        self._thread.join(_LAST_EXPORTS)
        self.exporter.shutdown()
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
