"""Work that no request waits for has a trace of its own, with the HTTP calls it makes inside."""

import gc
import weakref
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.exchange import TraceIds
from gateway.failures import TokenUnavailable
from tests.support.asgi_server import Message, served
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.tracing import an_exchange, from_caller, spans_to, tell


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


class Issuer:
    """A token endpoint that keeps what it saw."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}

    async def __call__(self, scope: Message, _receive: object, send: object) -> None:
        self.headers = dict(scope["headers"])
        assert callable(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


async def test_background_work_is_a_root_span_even_inside_a_request(receiver: OtlpReceiver) -> None:
    """A refresh that a request set off does not hide in that request's trace, but may link to it."""
    spans = spans_to(receiver.url)
    exchange = an_exchange(from_caller())
    server = spans.open_exchange(exchange)
    with spans.background("refresh token", attributes={"source": "oauth2"}, links=[exchange.trace]) as work:
        work.set("expires_in", 3_600)
    server.end(exchange)
    await spans.shutdown(10)
    span = receiver.named("refresh token")
    assert (span.kind, span.parent_id, span.status) == ("INTERNAL", "", "UNSET")
    assert span.trace_id != exchange.trace.trace_id
    assert [(link.trace_id, link.span_id) for link in span.links] == [
        (exchange.trace.trace_id, exchange.trace.span_id)
    ]
    assert span.attributes == {"source": "oauth2", "expires_in": 3_600}


async def test_spans_of_requests_are_not_children_of_background_work(receiver: OtlpReceiver) -> None:
    """What is current in the task never becomes a request's parent."""
    spans = spans_to(receiver.url)
    with spans.background("refresh token"):
        tell(spans, an_exchange(), 200)
    await spans.shutdown(10)
    [server] = [span for span in receiver.spans if span.kind == "SERVER"]
    assert server.parent_id == ""


@pytest.mark.parametrize(
    ("error", "error_type"),
    [(TokenUnavailable("client_secret=hunter2"), "GatewayTokenUnavailable"), (OSError("hunter2"), "OSError")],
)
async def test_an_exception_is_told_by_its_name_and_goes_on(
    receiver: OtlpReceiver, error: Exception, error_type: str
) -> None:
    """Status Error and error.type, no event and no text, because messages may hold what was sent."""
    spans = spans_to(receiver.url)
    with pytest.raises(type(error)), spans.background("refresh token", kind="client"):
        raise error
    await spans.shutdown(10)
    [span] = receiver.spans
    assert (span.kind, span.status, span.status_message, span.events) == ("CLIENT", "ERROR", "", ())
    assert span.attributes == {"error.type": error_type}


async def test_work_may_fail_without_an_exception(receiver: OtlpReceiver) -> None:
    """A refresh that keeps the old token still shows as failed."""
    spans = spans_to(receiver.url)
    with spans.background("refresh token") as work:
        work.fail("invalid_client")
    await spans.shutdown(10)
    [span] = receiver.spans
    assert (span.status, span.attributes) == ("ERROR", {"error.type": "invalid_client"})


async def test_a_token_request_is_a_child_and_carries_the_trace(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instrumented client's span hangs below the refresh, in stable names, and shows no credential."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", ".*")
    issuer = Issuer()
    spans = spans_to(receiver.url)
    async with served(issuer) as port, httpx.AsyncClient() as client:
        spans.instrument_client(client)
        with spans.background("refresh token"):
            await client.post(
                f"http://user:pass@127.0.0.1:{port}/token?code=secret&api-version=1",
                data={"client_secret": "hunter2"},
            )
    await spans.shutdown(10)
    refresh, post = receiver.named("refresh token"), receiver.named("POST")
    assert (post.kind, post.trace_id, post.parent_id) == ("CLIENT", refresh.trace_id, refresh.span_id)
    assert issuer.headers[b"traceparent"].split(b"-")[1:3] == [post.trace_id.encode(), post.span_id.encode()]
    assert post.attributes["url.full"] == f"http://127.0.0.1:{port}/token?code=REDACTED&api-version=1"
    assert post.attributes["http.response.status_code"] == 200
    assert post.attributes["http.request.header.authorization"] == "REDACTED"
    assert "http.url" not in post.attributes


async def test_with_tracing_off_nothing_is_recorded_or_added() -> None:
    """Background work runs as it is, and a client stays uninstrumented."""
    issuer = Issuer()
    spans = spans_to(None)
    async with served(issuer) as port, httpx.AsyncClient() as client:
        spans.instrument_client(client)
        with spans.background("refresh token", links=[TraceIds("1" * 32, "2" * 16, True, b"")]) as work:
            work.set("source", "oauth2")
            work.fail("invalid_client")
            await client.post(f"http://127.0.0.1:{port}/token")
    assert b"traceparent" not in issuer.headers


async def test_an_instrumented_client_is_not_kept_alive(receiver: OtlpReceiver) -> None:
    """A new credential object means a new client: the old one must go."""
    spans = spans_to(receiver.url)
    client = httpx.AsyncClient()
    spans.instrument_client(client)
    await client.aclose()
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    await spans.shutdown(10)
