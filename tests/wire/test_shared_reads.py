"""Many apps read the same jobs: one request to the upstream, and each app its own answer."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.sharing import (
    BYPASS,
    CACHE_STATUS,
    CALLERS,
    COLLAPSED,
    HIT,
    JSON,
    MISS,
    TRACES,
    JobsService,
    crowd,
    import_target,
    job,
    reads_counted,
    sharing_gateway,
    told,
    under_way,
)
from tests.support.upstream import FaultUpstream
from tests.support.wire import ask, connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sharing(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway for the module; each test reads jobs of its own."""
    async with sharing_gateway(module_upstream.origin) as running:
        yield running


@pytest.fixture
def service(upstream: FaultUpstream) -> JobsService:
    """What the upstream answers unless a test says otherwise."""
    upstream.default = service = JobsService()
    return service


async def test_fifty_identical_reads_are_one_request(upstream: FaultUpstream) -> None:
    """Fifty apps at once: one request upstream, the same bytes for all, and each answer in its own trace."""
    upstream.default = service = JobsService()
    service.gate.clear()
    async with sharing_gateway(upstream.origin) as gateway:
        tasks = await crowd(gateway, import_target("one"), CALLERS)
        service.gate.set()
        answers = await asyncio.gather(*tasks)
        counted = await reads_counted(gateway)
    assert len(upstream.requests) == 1
    assert {answer.body for answer in answers} == {job("one", read=1)}
    assert {answer.value(b"x-ms-request-id") for answer in answers} == {b"read-1"}
    assert told(answers) == [MISS, *[COLLAPSED] * 49]
    assert counted == {"miss": 1, "collapsed": 49}
    traced = [(answer.value(b"traceresponse") or b"").split(b"-")[1].decode() for answer in answers]
    assert traced == TRACES


async def test_a_kept_answer_is_given_again(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """A read soon after another gets its bytes with `Age`; the one that fetched them has no `Age`."""
    first = await ask(sharing, import_target("kept"))
    again = [await ask(sharing, import_target("kept")) for _ in range(3)]
    assert (first.value(CACHE_STATUS), first.value(b"age")) == (MISS, None)
    assert [(answer.value(CACHE_STATUS), answer.value(b"age")) for answer in again] == [(HIT, b"0")] * 3
    assert {answer.body for answer in again} == {first.body}
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("seconds", [0, 0.001])
async def test_nothing_is_kept_for_longer_than_configured(upstream: FaultUpstream, seconds: float) -> None:
    """An answer older than `jobs.max_staleness` is for those who wait for it: the next read goes upstream."""
    upstream.default = service = JobsService()
    async with sharing_gateway(upstream.origin, jobs={"max_staleness": seconds}) as gateway:
        for number in (1, 2, 3):
            service.gate.clear()
            tasks = await crowd(gateway, import_target("one"), CALLERS[:3])
            service.gate.set()
            together = await asyncio.gather(*tasks)
            assert told(together) == [MISS, COLLAPSED, COLLAPSED]
            assert {json.loads(answer.body)["read"] for answer in together} == {number}
    assert len(upstream.requests) == 3


async def test_an_ended_job_has_a_time_of_its_own(upstream: FaultUpstream) -> None:
    """`jobs.terminal_staleness` is for jobs that ended, `jobs.max_staleness` for all others."""
    upstream.on("/jobs/imports/over", faults.reply(200, job("over", "succeeded"), [JSON]))
    upstream.on("/jobs/imports/running", faults.reply(200, job("running"), [JSON]))
    async with sharing_gateway(upstream.origin, jobs={"max_staleness": 0}) as gateway:
        for job_id in ("over", "over", "running", "running"):
            await ask(gateway, import_target(job_id))
    paths = [seen.path for seen in upstream.requests]
    assert paths == [b"/jobs/imports/over", b"/jobs/imports/running", b"/jobs/imports/running"]


async def test_switched_off_nothing_is_shared(upstream: FaultUpstream) -> None:
    """With `jobs.coalesce` off each read is a request of its own, and says nothing of a cache."""
    upstream.default = service = JobsService()
    service.gate.clear()
    async with sharing_gateway(upstream.origin, jobs={"coalesce": False}) as gateway:
        tasks = await crowd(gateway, import_target("one"), CALLERS[:3])
        service.gate.set()
        answers = await asyncio.gather(*tasks)
    assert told(answers) == [b"", b"", b""]
    assert len(upstream.requests) == 3


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Cache-Control", b"no-cache")],
        [(b"Cache-Control", b"private, No-Store")],
        [(b"Cache-Control", b"max-age=0")],
        [(b"Pragma", b"no-cache")],
        [(b"If-None-Match", b'"e1"')],
        [(b"If-Match", b"*")],
        [(b"If-Modified-Since", b"Thu, 01 Jan 2026 00:00:00 GMT")],
        [(b"Range", b"bytes=0-3")],
        [(b"Content-Length", b"0")],
    ],
)
async def test_who_asks_for_more_than_a_copy_goes_upstream(
    sharing: RunningGateway,
    upstream: FaultUpstream,
    service: JobsService,
    headers: list[tuple[bytes, bytes]],
) -> None:
    """A fresh answer, a condition or a range are asked of the upstream itself, header and all."""
    await ask(sharing, import_target("asked"))
    before = len(upstream.requests)
    answer = await ask(sharing, import_target("asked"), headers=headers)
    assert answer.value(CACHE_STATUS) == BYPASS
    assert len(upstream.requests) == before + 1
    [(name, value)] = headers
    assert upstream.last.values(name) == [value]


async def test_head_goes_upstream(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """HEAD is asked of the upstream, and what it says is given to nobody else."""
    upstream.on("/jobs/imports/head", faults.reply(200, job("head"), [JSON]))
    head = await ask(sharing, import_target("head"), "HEAD")
    get = await ask(sharing, import_target("head"))
    again = await ask(sharing, import_target("head"), "HEAD")
    assert [seen.method for seen in upstream.requests] == [b"HEAD", b"GET", b"HEAD"]
    assert [answer.value(CACHE_STATUS) for answer in (head, get, again)] == [BYPASS, MISS, BYPASS]
    assert (head.body, get.body) == (b"", job("head"))


DIFFERENT = {
    "query": [
        request(f"/jobs/imports/queries{query}")
        for query in (
            f"?{API}",
            "?api-version=2023-06-30",
            f"?{API}&",
            f"?{API}&a=1",
            f"?a=1&{API}",
            f"?{API}&a=%31",
            "?API-VERSION=2023-10-31",
            "",
        )
    ],
    "path": [request(f"/jobs/imports/{job_id}?{API}") for job_id in ("k%41", "kA", "ka", "%6bA")],
    "accept": [
        request(import_target("accepts"), headers=headers)
        for headers in (
            [],
            [(b"Accept", b"application/json")],
            [(b"Accept", b"application/json;odata=none")],
            [(b"Accept", b"")],
            [(b"Accept-Language", b"de")],
        )
    ],
    "page size": [
        request(f"/jobs/imports?{API}", headers=headers)
        for headers in ([], [(b"max-items-per-page", b"2")], [(b"Max-Items-Per-Page", b"3")])
    ],
}


@pytest.mark.parametrize("by", DIFFERENT)
async def test_different_reads_are_different_requests(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService, by: str
) -> None:
    """Reads that differ in any byte of path or query, or in a header that counts, share nothing."""
    service.gate.clear()
    kinds = DIFFERENT[by]
    twice = [asyncio.create_task(_sent(sharing, data)) for data in kinds * 2]
    await under_way(sharing, len(twice))
    service.gate.set()
    answers = await asyncio.gather(*twice)
    later = await asyncio.gather(*(_sent(sharing, data) for data in kinds))
    assert len(upstream.requests) == len(kinds)
    assert len({answer[1] for answer in answers}) == len(kinds)
    assert answers[: len(kinds)] == later


async def _sent(gateway: RunningGateway, data: bytes) -> tuple[int, int]:
    """Status and number of the read that was the answer to these bytes."""
    async with connected(gateway) as client:
        await client.send(data)
        answer = await client.response()
    number = (answer.value(b"x-ms-request-id") or b"").removeprefix(b"read-")
    return answer.status, int(number)


async def test_headers_that_do_not_count_are_shared(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """User agent, client request id and content type of a GET (az sends one) make no difference."""
    for headers in ([], [(b"User-Agent", b"az")], [(b"Content-Type", b"application/json")]):
        answer = await ask(sharing, import_target("same"), headers=headers)
        assert json.loads(answer.body)["read"] == 1
    assert len(upstream.requests) == 1
