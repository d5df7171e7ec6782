"""Continue or restart the caller's trace, record an exchange as spans, and export them over OTLP/HTTP.

In the order in which a request meets them: `tracing` (opens the exchange), `sampling`, `attributes`,
`recording` (server and client spans) of `lean` records, `export`, `encoding` as `protobuf`. `environment` and
`otlp` read `OTEL_*`; `background` is for work that no request waits for, `job` for a job that has ended,
`references` for spans of which only the ids are known.
"""

from gateway.spans.background import BackgroundSpan
from gateway.spans.environment import TracingConfigError
from gateway.spans.job import JobSpan
from gateway.spans.recording import ClientSpan, ServerSpan
from gateway.spans.references import SpanIds
from gateway.spans.tracing import Spans

__all__ = ["BackgroundSpan", "ClientSpan", "JobSpan", "ServerSpan", "SpanIds", "Spans", "TracingConfigError"]
