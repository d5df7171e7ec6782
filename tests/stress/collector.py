"""An OTLP/HTTP receiver that counts spans; a process of its own.

    python -m tests.stress.collector STATUS SECONDS

answers every export with STATUS after SECONDS; `/spans` tells how many spans of exports came that it took,
`/ends` how many of them tell the end of a job, by the job's id.
"""

import asyncio
import sys
from collections import Counter
from typing import ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.bench.server import Connection, serve

_ENDS = {"import job", "deletion job"}
_JOB = "az.digitaltwins.job.id"


class Collector(Connection):
    """One connection of an exporter."""

    exports: ClassVar[list[bytes]] = []
    """Of all connections; decoded only when somebody asks, not beside a measurement."""
    spans = 0
    """Of all connections, decoded so far."""
    ends: ClassVar[Counter[str]] = Counter()
    """Of all connections, decoded so far, by the job's id."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__()
        self._status = status
        self._seconds = seconds
        self._body = bytearray()

    def on_body(self, piece: bytes) -> None:
        """Keep the body."""
        self._body += piece

    def answer(self) -> None:
        """Count and answer."""
        body = bytes(self._body)
        self._body.clear()
        if self.target in {b"/spans", b"/ends"}:
            _count()
            self.reply_json(Collector.spans if self.target == b"/spans" else Collector.ends)
            return
        if self._status == 200:
            Collector.exports.append(body)
        asyncio.get_running_loop().call_later(self._seconds, self._say)

    def _say(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % self._status)


def _count() -> None:
    for export in Collector.exports:
        batches = ExportTraceServiceRequest.FromString(export).resource_spans
        for span in (span for batch in batches for group in batch.scope_spans for span in group.spans):
            Collector.spans += 1
            if span.name in _ENDS:
                of = {each.key: each.value.string_value for each in span.attributes}
                Collector.ends[of[_JOB]] += 1
    Collector.exports.clear()


def main() -> None:
    """The command line above."""
    status, seconds = int(sys.argv[1]), float(sys.argv[2])
    serve(lambda: Collector(status, seconds))


if __name__ == "__main__":
    main()
