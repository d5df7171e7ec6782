"""The token issuer (`/token`) and the OTLP receiver (`/v1/traces`); `/services` counts spans by service."""

import gzip
from collections import Counter
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from tests.bench.server import Connection, serve

_SERVICE = "service.name"
_GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class Spans:
    """Spans by service and kind; what arrives is decoded when somebody asks, not beside a measurement."""

    exports: list[bytes] = field(default_factory=list)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self) -> dict[str, Counter[str]]:
        """The counts, after decoding what has arrived since."""
        exports, self.exports = self.exports, []
        for export in exports:
            for batch in ExportTraceServiceRequest.FromString(_plain(export)).resource_spans:
                counts = self.kinds.setdefault(_service(batch), Counter())
                for group in batch.scope_spans:
                    counts.update(_KINDS.get(span.kind, "other") for span in group.spans)
        return self.kinds


_KINDS = {Span.SPAN_KIND_SERVER: "server", Span.SPAN_KIND_CLIENT: "client"}


def _plain(export: bytes) -> bytes:
    return gzip.decompress(export) if export.startswith(_GZIP) else export


def _service(batch: ResourceSpans) -> str:
    named = (each.value.string_value for each in batch.resource.attributes if each.key == _SERVICE)
    return next(named, "")


class SinkConnection(Connection):
    """One connection of the issuer or of the exporter."""

    def __init__(self, spans: Spans) -> None:
        super().__init__()
        self._spans = spans
        self._body = bytearray()

    def on_body(self, piece: bytes) -> None:
        """Keep the body."""
        self._body += piece

    def answer(self) -> None:
        """A token, an empty success, or the counts."""
        body = bytes(self._body)
        self._body.clear()
        if self.target == b"/token":
            self.reply_json({"access_token": "e" * 1_500, "token_type": "Bearer", "expires_in": 86_400})
        elif self.target == b"/services":
            self.reply_json(self._spans.count())
        else:
            self._spans.exports.append(body)
            self.reply(b"")


def main() -> None:
    """Serve until the process is ended."""
    spans = Spans()
    serve(lambda: SinkConnection(spans))


if __name__ == "__main__":
    main()
