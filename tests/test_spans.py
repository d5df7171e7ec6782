"""What the spans of an exchange say, as an OTLP receiver gets them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.exchange import Route
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.tracing import (
    CALLER,
    IMPORT,
    SERVER_NAME,
    STARTED_NS,
    TRACE,
    UPSTREAM,
    an_attempt,
    an_exchange,
    from_caller,
    spans_to,
    tell,
)


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


async def test_one_trace_runs_from_the_caller_through_both_spans_to_the_upstream(
    receiver: OtlpReceiver,
) -> None:
    """The caller's trace id is kept, and each hop's parent is the span before it."""
    spans = spans_to(receiver.url)
    exchange = an_exchange(from_caller("03", tracestate=b"a@b=1, c=2", baggage=b"k=v"))
    [sent] = tell(spans, exchange, 200)
    await spans.shutdown(10)
    server, client = receiver.named(SERVER_NAME, "SERVER"), receiver.named(SERVER_NAME, "CLIENT")
    assert {server.trace_id, client.trace_id, exchange.trace.trace_id} == {TRACE}
    assert (server.parent_id, client.parent_id) == (CALLER, server.span_id)
    assert exchange.trace.span_id == server.span_id
    assert exchange.trace.sampled
    assert exchange.trace.response_header == f"00-{TRACE}-{server.span_id}-03".encode()
    assert sent == (
        (b"traceparent", f"00-{TRACE}-{client.span_id}-03".encode()),
        (b"tracestate", b"a@b=1, c=2"),
        (b"baggage", b"k=v"),
    )
    assert server.trace_state == client.trace_state == "a@b=1,c=2"
    assert (len(receiver.spans), spans.spans_dropped, spans.export_failures) == (2, 0, 0)


async def test_the_server_span_says_what_the_conventions_ask_for(receiver: OtlpReceiver) -> None:
    """Names, ids and the raw, percent-encoded path; no query and no secret."""
    spans = spans_to(receiver.url)
    tell(spans, an_exchange(), 200)
    await spans.shutdown(10)
    server = receiver.named(SERVER_NAME, "SERVER")
    assert server.attributes == {
        "http.request.method": "GET",
        "url.path": "/jobs/imports/job%201",
        "url.scheme": "http",
        "http.route": "/jobs/imports/{id}",
        "http.response.status_code": 200,
        "server.address": "localhost",
        "server.port": 8080,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "app/1.0",
        "az.digitaltwins.job.id": "job 1",
        "azure.service.request.id": "5e1f",
    }
    assert (server.status, server.scope, server.parent_id) == ("UNSET", ("adt-gateway", "1.2.3"), "")
    assert server.resource["service.name"] == "adt-gateway"
    assert server.resource["service.version"] == "1.2.3"
    assert server.resource["service.instance.id"]


async def test_the_client_span_names_the_upstream_and_redacts_the_query(receiver: OtlpReceiver) -> None:
    """The port is there even when it is 443, and only `api-version` keeps its value."""
    spans = spans_to(receiver.url)
    tell(spans, an_exchange(), 200)
    await spans.shutdown(10)
    client = receiver.named(SERVER_NAME, "CLIENT")
    assert client.attributes == {
        "http.request.method": "GET",
        "server.address": "twins.api.weu.digitaltwins.azure.net",
        "server.port": 443,
        "url.full": f"{UPSTREAM}/jobs/imports/job%201?api-version=2023-10-31&sig=REDACTED&api-version=x",
        "http.response.status_code": 200,
        "az.digitaltwins.job.id": "job 1",
        "azure.service.request.id": "5e1f",
    }


async def test_times_are_the_clock_readings_of_the_exchange(receiver: OtlpReceiver) -> None:
    """Duration in the span equals the difference of the readings that the histogram gets."""
    spans = spans_to(receiver.url)
    tell(spans, an_exchange(), 200)
    await spans.shutdown(10)
    server, client = receiver.named(SERVER_NAME, "SERVER"), receiver.named(SERVER_NAME, "CLIENT")
    assert (server.start, server.end) == (STARTED_NS, STARTED_NS + 1_000_000_000)
    assert (client.start, client.end) == (STARTED_NS + 250_000_000, STARTED_NS + 500_000_000)


async def test_each_attempt_has_a_span_and_an_id_of_its_own(receiver: OtlpReceiver) -> None:
    """The second attempt counts as the first resend, and its header carries its own id."""
    spans = spans_to(receiver.url)
    first, second = tell(spans, an_exchange(from_caller()), 401, 200)
    await spans.shutdown(10)
    one, two = [span for span in receiver.spans if span.kind == "CLIENT"]
    assert first[0][1].split(b"-")[2] == one.span_id.encode()
    assert second[0][1].split(b"-")[2] == two.span_id.encode()
    assert one.span_id != two.span_id
    assert "http.request.resend_count" not in one.attributes
    assert two.attributes["http.request.resend_count"] == 1
    assert (one.status, one.attributes["error.type"]) == ("ERROR", "401")
    assert two.status == "UNSET"


@pytest.mark.parametrize(
    ("status", "server_status"), [(404, "UNSET"), (429, "UNSET"), (500, "ERROR"), (503, "ERROR")]
)
async def test_a_client_error_fails_the_client_span_only(
    receiver: OtlpReceiver, status: int, server_status: str
) -> None:
    """4xx is the caller's doing: status Error on the client span, not on the server span."""
    spans = spans_to(receiver.url)
    tell(spans, an_exchange(), status)
    await spans.shutdown(10)
    server, client = receiver.named(SERVER_NAME, "SERVER"), receiver.named(SERVER_NAME, "CLIENT")
    assert (client.status, client.attributes["error.type"]) == ("ERROR", str(status))
    assert server.status == server_status
    assert server.attributes.get("error.type") == (str(status) if server_status == "ERROR" else None)


async def test_a_broken_exchange_is_an_error_with_its_name(receiver: OtlpReceiver) -> None:
    """A connection that broke has an error.type and no message on either span, also after a status of 200."""
    spans = spans_to(receiver.url)
    exchange = an_exchange()
    server = spans.open_exchange(exchange)
    attempt = an_attempt(exchange, 200, error_type="GatewayUpstreamConnectionLost")
    server.attempt(exchange, attempt).end(exchange, attempt)
    exchange.status, exchange.error_type = 200, "GatewayUpstreamConnectionLost"
    server.end(exchange)
    await spans.shutdown(10)
    for span in receiver.spans:
        assert (span.status, span.status_message, span.events) == ("ERROR", "", ())
        assert span.attributes["error.type"] == "GatewayUpstreamConnectionLost"


async def test_a_call_given_up_because_the_client_left_is_no_error(receiver: OtlpReceiver) -> None:
    """The upstream is not blamed for a cancelled call."""
    spans = spans_to(receiver.url)
    exchange = an_exchange()
    server = spans.open_exchange(exchange)
    attempt = an_attempt(exchange, None, error_type="GatewayUpstreamConnectionLost")
    attempt.cancelled = True
    server.attempt(exchange, attempt).end(exchange, attempt)
    await spans.shutdown(10)
    client = receiver.named(SERVER_NAME, "CLIENT")
    assert client.status == "UNSET"
    assert "error.type" not in client.attributes


@pytest.mark.parametrize(
    ("method", "route", "name"),
    [
        ("GET", Route("unmatched"), "GET"),
        ("PUT", IMPORT, "PUT /jobs/imports/{id}"),
        ("BREW", Route("unmatched"), "HTTP"),
        ("get", Route("unmatched"), "HTTP"),
    ],
)
async def test_span_names_come_from_closed_sets(
    receiver: OtlpReceiver, method: str, route: Route, name: str
) -> None:
    """No raw path and no invented method ever names a span."""
    spans = spans_to(receiver.url)
    tell(spans, an_exchange(method=method, route=route), 200)
    await spans.shutdown(10)
    for span in (receiver.named(name, "SERVER"), receiver.named(name, "CLIENT")):
        known = not name.startswith("HTTP")
        assert span.attributes["http.request.method"] == (method if known else "_OTHER")
        assert span.attributes.get("http.request.method_original") == (None if known else method)
        assert ("http.route" in span.attributes) is (route is IMPORT and span.kind == "SERVER")


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        (b"localhost:8080", "localhost", 8080),
        (b"gateway", "gateway", 80),
        (b"[::1]:8080", "::1", 8080),
        (b"[::1]", "::1", 80),
        (b"x:nonsense", "x", None),
        (b"x:99999999999999999999999", "x", None),
        (b"", None, None),
    ],
)
async def test_the_host_header_is_read_with_care(
    receiver: OtlpReceiver, host: bytes, address: str | None, port: int | None
) -> None:
    """Address and port of any Host, IPv6 and nonsense too."""
    spans = spans_to(receiver.url)
    tell(spans, replace(an_exchange(), host=host), 200)
    await spans.shutdown(10)
    attributes = receiver.named(SERVER_NAME, "SERVER").attributes
    assert (attributes.get("server.address"), attributes.get("server.port")) == (address, port)


async def test_hostile_values_are_bounded_and_lose_no_batch(receiver: OtlpReceiver) -> None:
    """Bytes that are no text, lone surrogates and huge values arrive escaped and cut."""
    spans = spans_to(receiver.url)
    exchange = an_exchange(route=IMPORT._replace(job_id="\udcff"))
    exchange = replace(exchange, headers=[(b"user-agent", b"\xff\x00" + b"a" * 100_000)])
    exchange.raw_path, exchange.query = b"/\xed\xa0\x80", b"secret&=x&&" + b"k=v&" * 50_000
    tell(spans, exchange, 200)
    await spans.shutdown(10)
    server, client = receiver.named(SERVER_NAME, "SERVER"), receiver.named(SERVER_NAME, "CLIENT")
    assert server.attributes["url.path"] == "/\\xed\\xa0\\x80"
    assert server.attributes["az.digitaltwins.job.id"] == "\ufffd"
    assert str(server.attributes["user_agent.original"]).startswith("\\xff\x00aaa")
    assert "?REDACTED&=REDACTED&&k=REDACTED&" in str(client.attributes["url.full"])
    assert max(len(str(value)) for span in receiver.spans for value in span.attributes.values()) <= 2_048
    assert spans.spans_dropped == 0
