"""Answers and ids of the Jobs API that make no sense: passed untouched, counted; no crash, no new label."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import unquote, unquote_to_bytes

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import REFERENCE_CODES
from gateway.jobs import STATUSES
from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.odd_jobs import BODIES, CAP, IDS, odd
from tests.support.sharing import (
    CACHE_STATUS,
    HIT,
    JSON,
    LASTING,
    MISS,
    job,
    page,
    queued,
    sharing_gateway,
)
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import admin, ask, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOSED = {
    *(status for statuses in STATUSES.values() for status in statuses), *STATUSES, *REFERENCE_CODES,
    "", "other", "GET", "200", "/jobs/imports/{id}", "127.0.0.1",
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sharing(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway for the module."""
    async with sharing_gateway(module_upstream.origin) as running:
        yield running


@pytest.mark.parametrize("what", BODIES)
async def test_odd_bodies_pass(sharing: RunningGateway, upstream: FaultUpstream, what: str) -> None:
    """Whatever a 200 holds, or a 201: each app gets its bytes, kept or fetched, and the gateway lives on."""
    body = BODIES[what]
    path = "/jobs/imports/" + what.replace(" ", "%20")
    upstream.on(path, faults.reply(200, body, [JSON]))
    reads = [await ask(sharing, f"{path}?{API}") for _ in range(2)]
    assert [(answer.status, answer.complete) for answer in reads] == [(200, True)] * 2
    assert [answer.body == body for answer in reads] == [True, True]
    assert [answer.value(CACHE_STATUS) for answer in reads] == [MISS, MISS if len(body) > CAP else HIT]
    upstream.on(path, faults.reply(201, body, [JSON]))
    named = [(b"x-ms-client-request-id", what.encode())]
    created = await ask(sharing, f"{path}?{API}", "PUT", named, body=b"{}")
    assert (created.status, created.complete, created.body == body) == (201, True, True)
    assert (await admin(sharing, "/api/jobs")).status == 200


async def test_odd_bodies_are_counted_and_make_no_label(upstream: FaultUpstream) -> None:
    """What said nothing usable is counted by reason, and no text of an upstream's becomes a label's value."""
    async with sharing_gateway(upstream.origin) as gateway:
        before = await _series(gateway)
        for number, body in enumerate(BODIES.values()):
            upstream.on(f"/jobs/imports/{number}", faults.reply(200, body, [JSON]))
            assert (await ask(gateway, f"/jobs/imports/{number}?{API}")).status == 200
        new = await _series(gateway) - before
        unread = {
            reason: await sample(
                gateway, f'adt_gateway_bodies_unread_total{{reader="jobs",reason="{reason}"}}'
            )
            for reason in ("not_json", "not_a_job", "too_large", "other")
        }
    assert {text for _, labels in new for name, text in labels if name != "le"} <= CLOSED
    assert len(new) < 100
    assert unread["too_large"] == 1
    assert unread["not_json"] >= 10
    assert unread["not_a_job"] >= 5
    assert unread["other"] == 0
    assert [line["level"] for line in gateway.exchanges()] == ["info"] * len(BODIES)
    assert not [line for line in gateway.lines() if line["level"] == "error"]


async def _series(gateway: RunningGateway) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every sample of a scrape by name and labels."""
    text = (await admin(gateway, "/metrics")).body.decode()
    families = text_string_to_metric_families(text)
    return {(each.name, tuple(each.labels.items())) for family in families for each in family.samples}


async def test_a_body_that_breaks_off_is_an_error_and_not_kept(engine: str, upstream: FaultUpstream) -> None:
    """A connection that ends inside a body: 502 for those who waited, and the next read asks again."""
    cut = faults.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + job("cut"))
    upstream.on("/jobs/imports/cut", cut, cut, faults.reply(200, job("cut"), [JSON]))
    async with sharing_gateway(upstream.origin, engine=engine) as gateway:
        broken = await ask(gateway, f"/jobs/imports/cut?{API}")
        assert broken.status == 502
        assert broken.value(b"x-ms-error-code") == b"GatewayUpstreamConnectionLost"
        while (answer := await ask(gateway, f"/jobs/imports/cut?{API}")).status != 200:
            assert len(upstream.requests) < 3
        assert (answer.body, answer.value(CACHE_STATUS)) == (job("cut"), MISS)


async def _answers_with_its_path(call: Call) -> None:
    """A job whose body tells how its id stood in the path."""
    segment = call.request.path.decode().rpartition("/")[2]
    await faults.reply(200, job(unquote(segment), segment=segment), [JSON])(call)


async def test_odd_ids_pass(sharing: RunningGateway, upstream: FaultUpstream) -> None:
    """Ids of any spelling and length: the path arrives as it was sent, and each read is of its own job."""
    upstream.default = _answers_with_its_path
    for segment in IDS:
        target = f"/jobs/imports/{segment}?{API}"
        reads = [await ask(sharing, target) for _ in range(2)]
        assert [answer.value(CACHE_STATUS) for answer in reads] == [MISS, HIT]
        assert {json.loads(answer.body)["segment"] for answer in reads} == {segment}
        assert upstream.last.target == target.encode()
        assert (await admin(sharing, f"/api/jobs/import/{segment}")).status in {200, 404}
    for segment in IDS:
        for method, path in (("PUT", segment), ("POST", f"{segment}/cancel"), ("DELETE", segment)):
            target = f"/jobs/imports/{path}?{API}"
            named = [(b"x-ms-client-request-id", segment.encode())]
            assert (await ask(sharing, target, method, named)).status == 200
            assert upstream.last.target == target.encode()
    assert (await admin(sharing, "/api/jobs")).status == 200


async def test_lists_answer_for_odd_ids_and_odd_bodies(upstream: FaultUpstream) -> None:
    """In a batch each read gets the exact bytes of its own item; what a page does not tell is asked for."""
    known = {segment: job(unquote(segment), listed=True) for segment in IDS if _is_text(segment)}
    upstream.default = _answers_with_its_path
    strange = [b"null", b"7", b"{}", odd(status=b'"\xff"'), *[odd(id=b'"twice"')] * 2]
    upstream.on("/jobs/imports", faults.reply(200, page(*dict.fromkeys(known.values()), *strange), [JSON]))
    async with sharing_gateway(upstream.origin, jobs={"rate": 100, **LASTING}) as gateway:
        await _pause(gateway, upstream, 700)
        segments = [*IDS, "twice", "missing"]
        tasks = [asyncio.create_task(ask(gateway, f"/jobs/imports/{one}?{API}")) for one in segments]
        await queued(gateway, len(segments))
        answers = dict(zip(segments, await asyncio.gather(*tasks), strict=True))
    asked = [seen.path.decode().rpartition("/")[2] for seen in upstream.requests[1:]]
    alone = {segment for segment in segments if segment not in known or segment == "%EF%BF%BD"}
    assert asked.count("imports") <= 2
    assert sorted(one for one in asked if one != "imports") == sorted(alone)
    for segment, answer in answers.items():
        assert answer.status == 200
        if segment in alone:
            assert json.loads(answer.body)["segment"] == segment
        else:
            assert answer.body == known[segment]


def _is_text(segment: str) -> bool:
    try:
        return len(unquote_to_bytes(segment).decode()) <= 512
    except UnicodeDecodeError:
        return False


PAGES = {
    "truncated": page(job("a"), job("b"))[:-3],
    "a lone surrogate": page(job("a"), job("d"), job("e"), odd(id=b'"\\ud800"')),
    "huge": page(job("a"), job("d"), job("e"), job("c"), odd(text=b'"' + b"x" * CAP + b'"')),
    "an error": b'{"error":{"code":"ValidationFailed"}}',
}


@pytest.mark.parametrize("what", PAGES)
async def test_a_list_that_is_no_use_is_not_asked_again(upstream: FaultUpstream, what: str) -> None:
    """Where a list cannot be read, each read asks for itself, and the next ones leave the list alone."""
    upstream.default = _answers_with_its_path
    upstream.on("/jobs/imports", faults.reply(400 if what == "an error" else 200, PAGES[what], [JSON]))
    async with sharing_gateway(upstream.origin, jobs={"rate": 100, "max_staleness": 0}) as gateway:
        await _pause(gateway, upstream)
        for ids in ("abc", "def"):
            tasks = [asyncio.create_task(ask(gateway, f"/jobs/imports/{one}?{API}")) for one in ids]
            if ids == "abc":
                await queued(gateway, 3)
            for one, answer in zip(ids, await asyncio.gather(*tasks), strict=True):
                assert (answer.status, json.loads(answer.body)["segment"]) == (200, one)
    asked = [seen.path.decode().rpartition("/")[2] for seen in upstream.requests[1:]]
    assert asked[0] == "imports"
    assert sorted(asked[1:]) == list("abcdef")


async def _pause(gateway: RunningGateway, upstream: FaultUpstream, milliseconds: int = 250) -> None:
    """Let turns pause, so that reads line up."""
    upstream.on("/jobs/deletions", faults.reply(429, b"", [(b"retry-after-ms", b"%d" % milliseconds)]))
    assert (await ask(gateway, f"/jobs/deletions?{API}", "POST")).status == 429
