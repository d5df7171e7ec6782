"""Exchanges that no app asked for, and links between spans of different traces."""

from collections.abc import AsyncIterator

import pytest

from gateway.config import Tracing
from gateway.exchange import Exchange, Route, TraceIds
from gateway.spans.references import MAX_LINKS
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.tracing import (
    CALLER,
    SERVER_NAME,
    STARTED_NS,
    TRACE,
    an_attempt,
    an_exchange,
    from_caller,
    spans_to,
    tell,
)

CREATOR = TraceIds(TRACE, CALLER, sampled=True, response_header=b"")


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


def own_exchange() -> Exchange:
    """A read of one job by the gateway itself, begun at clock reading 100.0."""
    return Exchange(
        method="GET",
        raw_path=b"/jobs/imports/job%201",
        query=b"api-version=2023-10-31",
        headers=[],
        started=100.0,
        started_ns=STARTED_NS,
        finished=101.0,
        route=Route("/jobs/imports/{id}", job_kind="import", job_id="job 1", operation="get"),
    )


async def test_own_work_is_a_trace_of_its_own_with_client_spans_below(receiver: OtlpReceiver) -> None:
    """A root span, linked to the requests it is done for; each attempt below it is named as any other."""
    spans = spans_to(receiver.url)
    exchange = own_exchange()
    work = spans.open_work(exchange, "watch job", [CREATOR])
    sent = []
    for status in (429, 200):
        attempt = an_attempt(exchange, status)
        client = work.attempt(exchange, attempt)
        sent.append(client.headers)
        client.end(exchange, attempt)
    work.end(exchange)
    await spans.shutdown(10)
    root = receiver.named("watch job", "INTERNAL")
    first, second = [span for span in receiver.spans if span.kind == "CLIENT"]
    assert (root.parent_id, root.status) == ("", "UNSET")
    assert (root.start, root.end) == (STARTED_NS, STARTED_NS + 1_000_000_000)
    assert root.attributes == {"az.digitaltwins.job.kind": "import", "az.digitaltwins.job.id": "job 1"}
    assert [(link.trace_id, link.span_id) for link in root.links] == [(TRACE, CALLER)]
    assert (exchange.trace.trace_id, exchange.trace.span_id) == (root.trace_id, root.span_id)
    assert exchange.trace.sampled
    for span, headers in ((first, sent[0]), (second, sent[1])):
        assert (span.name, span.trace_id, span.parent_id) == (SERVER_NAME, root.trace_id, root.span_id)
        assert headers == ((b"traceparent", f"00-{root.trace_id}-{span.span_id}-03".encode()),)
    assert second.attributes["http.request.resend_count"] == 1


async def test_work_on_a_list_names_no_job(receiver: OtlpReceiver) -> None:
    """A list is told by its kind alone."""
    spans = spans_to(receiver.url)
    exchange = own_exchange()
    exchange.route = Route("/jobs/deletions", job_kind="deletion", operation="list")
    spans.open_work(exchange, "watch jobs").end(exchange)
    await spans.shutdown(10)
    [root] = receiver.spans
    assert (root.attributes, root.links) == ({"az.digitaltwins.job.kind": "deletion"}, ())


@pytest.mark.parametrize(
    ("error_type", "error_code", "shown"),
    [
        ("GatewayUpstreamTimeout", "GatewayUpstreamTimeout", "GatewayUpstreamTimeout"),
        (None, "TooManyRequests", "TooManyRequests"),
        ("503", None, "503"),
    ],
)
async def test_own_work_fails_with_any_error(
    receiver: OtlpReceiver, error_type: str | None, error_code: str | None, shown: str
) -> None:
    """No app is to blame: a 4xx is a failure too."""
    spans = spans_to(receiver.url)
    exchange = own_exchange()
    work = spans.open_work(exchange, "watch job")
    exchange.error_type, exchange.error_code = error_type, error_code
    work.end(exchange)
    await spans.shutdown(10)
    [root] = receiver.spans
    assert (root.status, root.status_message, root.attributes["error.type"]) == ("ERROR", "", shown)


@pytest.mark.parametrize("trust", ["continue", "restart"])
async def test_the_sampler_decides_on_own_work(receiver: OtlpReceiver, trust: str) -> None:
    """As for a root span: that a linked request was sampled counts for nothing, even with `restart`."""
    spans = spans_to(receiver.url, Tracing.model_validate({"sample_ratio": 0.0, "trust": trust}))
    exchange = own_exchange()
    work = spans.open_work(exchange, "watch job", [CREATOR])
    attempt = an_attempt(exchange)
    client = work.attempt(exchange, attempt)
    client.end(exchange, attempt)
    work.end(exchange)
    await spans.shutdown(10)
    assert receiver.requests == []
    assert not exchange.trace.sampled
    [(_, parent)] = client.headers
    assert parent.startswith(b"00-" + exchange.trace.trace_id.encode())
    assert parent.endswith(b"-02")


async def test_with_tracing_off_own_work_has_new_unsampled_ids() -> None:
    """What is sent upstream and logged carries an id of its own each time, and nothing is recorded."""
    spans = spans_to(None)
    seen = set()
    for _ in range(2):
        exchange = own_exchange()
        work = spans.open_work(exchange, "watch job", [CREATOR])
        attempt = an_attempt(exchange)
        [(name, parent)] = work.attempt(exchange, attempt).headers
        work.link(CREATOR)
        work.end(exchange)
        ids = exchange.trace
        assert (name, parent) == (b"traceparent", f"00-{ids.trace_id}-{ids.span_id}-02".encode())
        assert not ids.sampled
        seen.add(ids.trace_id)
    assert len(seen - {TRACE}) == 2


async def test_a_follower_links_to_the_leader(receiver: OtlpReceiver) -> None:
    """Who shares an upstream call has a span of their own that points to the one that made it."""
    spans = spans_to(receiver.url)
    leader, follower = an_exchange(), an_exchange(from_caller())
    leading, following = spans.open_exchange(leader), spans.open_exchange(follower)
    following.link(leader.trace)
    follower.read_result, leader.read_result = "collapsed", "miss"
    leading.end(leader)
    following.end(follower)
    await spans.shutdown(10)
    [one] = [span for span in receiver.spans if span.trace_id == leader.trace.trace_id]
    [other] = [span for span in receiver.spans if span.trace_id == TRACE]
    assert one.links == ()
    assert [(link.trace_id, link.span_id) for link in other.links] == [(one.trace_id, one.span_id)]
    assert (one.attributes["adt_gateway.read"], other.attributes["adt_gateway.read"]) == ("miss", "collapsed")


async def test_a_link_is_added_to_those_that_are_there(receiver: OtlpReceiver) -> None:
    """A restarted trace keeps its link to the caller; links that name no span are left out."""
    spans = spans_to(receiver.url, Tracing(trust="restart"))
    leader, follower = an_exchange(), an_exchange(from_caller())
    spans.open_exchange(leader)
    following = spans.open_exchange(follower)
    following.link(leader.trace)
    following.link(TraceIds("0" * 32, "0" * 16, sampled=False, response_header=b""))
    following.end(follower)
    await spans.shutdown(10)
    [span] = receiver.spans
    assert [(link.trace_id, link.span_id) for link in span.links] == [
        (TRACE, CALLER),
        (leader.trace.trace_id, leader.trace.span_id),
    ]


@pytest.mark.parametrize("flags", ["00", None])
async def test_a_link_on_a_span_that_is_not_recorded_does_nothing(
    receiver: OtlpReceiver, flags: str | None
) -> None:
    """Unsampled, or with tracing off: no error, no export."""
    spans = spans_to(receiver.url if flags else None)
    exchange = an_exchange(from_caller(flags) if flags else [])
    server = spans.open_exchange(exchange)
    server.link(CREATOR)
    server.end(exchange)
    await spans.shutdown(10)
    assert receiver.requests == []


async def test_links_are_bounded(receiver: OtlpReceiver) -> None:
    """One list may stand for ten thousand jobs; its span links to the first of their creators only."""
    spans = spans_to(receiver.url)
    creators = [
        TraceIds(f"{n:032x}", f"{n:016x}", sampled=True, response_header=b"") for n in range(1, 1_000)
    ]
    exchange = own_exchange()
    spans.open_work(exchange, "watch jobs", creators).end(exchange)
    await spans.shutdown(10)
    assert len(receiver.named("watch jobs").links) == MAX_LINKS


async def test_a_read_that_was_not_shared_says_nothing_of_it(receiver: OtlpReceiver) -> None:
    """Only reads of jobs have a result."""
    spans = spans_to(receiver.url)
    tell(spans, an_exchange(), 200)
    await spans.shutdown(10)
    assert "adt_gateway.read" not in receiver.named(SERVER_NAME, "SERVER").attributes
