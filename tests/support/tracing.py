"""Exchanges with a caller's trace headers, told to a `Spans` as the story tells them."""

from collections.abc import Mapping

from gateway.config import Tracing
from gateway.exchange import Attempt, Exchange, RawHeaders, Route
from gateway.spans import Spans

UPSTREAM = "https://twins.api.weu.digitaltwins.azure.net"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SERVER_NAME = "GET /jobs/imports/{id}"

STARTED_NS = 1_700_000_000_000_000_000
IMPORT = Route("/jobs/imports/{id}", job_kind="import", job_id="job 1", operation="get")

HeaderLines = tuple[tuple[bytes, bytes], ...]


def from_caller(flags: str = "01", **more: bytes) -> list[tuple[bytes, bytes]]:
    """The trace headers of a caller whose span is `CALLER`."""
    lines = [(b"traceparent", f"00-{TRACE}-{CALLER}-{flags}".encode())]
    return lines + [(name.encode(), value) for name, value in more.items()]


def an_exchange(headers: RawHeaders | None = None, *, method: str = "GET", route: Route = IMPORT) -> Exchange:
    """`GET /jobs/imports/job%201`, begun at clock reading 100.0."""
    return Exchange(
        method=method,
        raw_path=b"/jobs/imports/job%201",
        query=b"api-version=2023-10-31&sig=secret&api-version=x",
        headers=[(b"host", b"localhost:8080"), (b"user-agent", b"app/1.0"), *(headers or [])],
        client="127.0.0.1",
        host=b"localhost:8080",
        started=100.0,
        started_ns=STARTED_NS,
        route=route,
    )


def an_attempt(exchange: Exchange, status: int | None = 200, *, error_type: str | None = None) -> Attempt:
    """The next attempt: begun 0.25 s after the exchange, over 0.25 s later."""
    attempt = Attempt(len(exchange.attempts), started=100.25, finished=100.5, status=status)
    attempt.error_type = error_type
    attempt.request_id = "5e1f"
    exchange.attempts.append(attempt)
    return attempt


def spans_to(
    url: str | None, settings: Tracing | None = None, environ: Mapping[str, str] | None = None
) -> Spans:
    """Spans that export to `url`; None leaves tracing off, unless `environ` names an endpoint."""
    settings = (settings or Tracing()).model_copy(update={"endpoint": url})
    return Spans.create(settings, environ or {}, upstream=UPSTREAM, version="1.2.3")


def tell(spans: Spans, exchange: Exchange, *statuses: int) -> list[HeaderLines]:
    """A whole exchange with one attempt per status; returns each attempt's headers."""
    server = spans.open_exchange(exchange)
    sent = []
    for status in statuses:
        attempt = an_attempt(exchange, status)
        client = server.attempt(exchange, attempt)
        sent.append(client.headers)
        client.end(exchange, attempt)
        exchange.status, exchange.request_id = status, attempt.request_id
    exchange.finished = 101.0
    server.end(exchange)
    return sent
