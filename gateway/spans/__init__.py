"""Continue or restart the caller's trace, record an exchange as spans, and export them over OTLP/HTTP.

In the order in which a request meets them: `tracing` (opens the exchange), `sampling`, `attributes`,
`recording` (server and client spans) of `lean` records, `export`. `environment` and `otlp` read `OTEL_*`;
`background` is for work that no request waits for.
"""

from gateway.spans.background import BackgroundSpan
from gateway.spans.environment import TracingConfigError
from gateway.spans.recording import ClientSpan, ServerSpan
from gateway.spans.tracing import Spans

__all__ = ["BackgroundSpan", "ClientSpan", "ServerSpan", "Spans", "TracingConfigError"]
