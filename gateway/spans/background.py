"""Spans of work that no request waits for, such as a token refresh, and of the HTTP calls it makes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import httpx
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span

from gateway.failures import GatewayError
from gateway.spans.attributes import Attributes, Origin, redacted, text
from gateway.spans.references import SpanIds, links_to

if TYPE_CHECKING:
    from opentelemetry.instrumentation.httpx import RequestInfo

Kind = Literal["internal", "client"]
_KINDS: Mapping[Kind, SpanKind] = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
_AUTHORIZATION = "http.request.header.authorization"


class BackgroundSpan:
    """What the work itself may add to its span."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def set(self, name: str, value: str | float | bool) -> None:
        """Add an attribute; the caller answers for it holding no secret."""
        self._span.set_attribute(name, text(value) if isinstance(value, str) else value)

    def fail(self, error_type: str) -> None:
        """Mark the work as failed; `error_type` is from a small set of names, never a message."""
        self._span.set_attribute("error.type", text(error_type))
        self._span.set_status(StatusCode.ERROR)


@contextmanager
def root_span(
    tracer: Tracer, name: str, kind: Kind, attributes: Attributes, links: Sequence[SpanIds]
) -> Iterator[BackgroundSpan]:
    """A trace of its own, current for what runs inside, so that instrumented calls become its children.

    An exception is told by its name only: its text may hold what was sent.
    """
    span = tracer.start_span(name, Context(), _KINDS[kind], attributes, links_to(links))
    work = BackgroundSpan(span)
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield work
        except Exception as error:
            work.fail(error.code if isinstance(error, GatewayError) else type(error).__qualname__)
            raise


def instrument(client: httpx.AsyncClient, provider: TracerProvider) -> None:
    """Trace a client's requests; undone by nothing but the client's end, which it does not outlive."""
    # Read once per process by the instrumentation: without it the old, unstable names are used.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    # Imported late: a gateway without tracing must not wait for it.
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415

    HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider, request_hook=_redact)


async def _redact(span: Span, request: "RequestInfo") -> None:
    if not span.is_recording():
        return
    url = httpx.URL(str(request.url))
    shown = Origin.of(str(url)).url + url.raw_path.partition(b"?")[0].decode("ascii", "backslashreplace")
    query = redacted(url.query).decode("ascii", "backslashreplace")
    span.set_attribute("url.full", text(f"{shown}?{query}" if query else shown))
    if _AUTHORIZATION in getattr(span, "attributes", {}):
        # OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST=.* may be meant for the app beside us.
        span.set_attribute(_AUTHORIZATION, "REDACTED")
