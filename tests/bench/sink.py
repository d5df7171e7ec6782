"""The token issuer (`/token`) and the OTLP receiver (`/v1/traces`); `/spans` tells how many spans arrived."""

from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.bench.server import Connection, serve

_EXCHANGES = "adt-gateway"
"""Scope of the spans of exchanges; the token requests' have another."""


@dataclass(slots=True)
class Spans:
    """Spans by kind; what arrives is decoded only when somebody asks, not beside a measurement."""

    exports: list[bytes] = field(default_factory=list)
    server: int = 0
    client: int = 0

    def count(self) -> dict[str, int]:
        """The counts, after decoding what has arrived since."""
        exports, self.exports = self.exports, []
        for export in exports:
            for batch in ExportTraceServiceRequest.FromString(export).resource_spans:
                for group in batch.scope_spans:
                    if group.scope.name != _EXCHANGES:
                        continue
                    kinds = [span.kind for span in group.spans]
                    self.server += kinds.count(Span.SPAN_KIND_SERVER)
                    self.client += kinds.count(Span.SPAN_KIND_CLIENT)
        return {"server": self.server, "client": self.client}


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
        elif self.target == b"/spans":
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
