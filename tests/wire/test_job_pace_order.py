"""Who goes when turns at the Jobs API are short, and what a 429 of the upstream's means."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.raw import RawResponse
from tests.support.sharing import JobsService, abandon, import_target, queued, sharing_gateway, under_way
from tests.support.upstream import Behaviour, FaultUpstream
from tests.support.wire import TWIN, ask, error_of, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAUSE = 700
"""Milliseconds in which a test can let requests line up."""
QUICK = {"rate": 100, "batch": False, "max_staleness": 0}
DELETIONS = f"/jobs/deletions?{API}"
CODE = b"x-ms-error-code"
TURNS = 'adt_jobs_rate_wait_seconds_count{{priority="{}"}}'


@asynccontextmanager
async def paused(upstream: FaultUpstream, **jobs: object) -> AsyncIterator[RunningGateway]:
    """A gateway whose turns pause, because a write has just met a 429; the upstream has forgotten that."""
    upstream.default = service = JobsService()
    service.write = _busy(PAUSE)
    async with sharing_gateway(upstream.origin, jobs={**QUICK, **jobs}) as gateway:
        assert (await ask(gateway, DELETIONS, "POST")).status == 429
        service.write = faults.reply(204)
        upstream.requests.clear()
        yield gateway


def _busy(milliseconds: int) -> Behaviour:
    return faults.reply(429, b"", [(b"retry-after-ms", b"%d" % milliseconds)])


def reading(gateway: RunningGateway, job_id: str, *, wait: int | None = None) -> "asyncio.Task[RawResponse]":
    """A read of a job, begun."""
    headers = [] if wait is None else [(b"Prefer", b"wait=%d" % wait)]
    return asyncio.create_task(ask(gateway, import_target(job_id), headers=headers))


def writing(gateway: RunningGateway, job_id: str, *, named: bool = True) -> "asyncio.Task[RawResponse]":
    """The creation of a job, begun; named as SDKs do it."""
    headers = [(b"x-ms-client-request-id", job_id.encode())] if named else []
    return asyncio.create_task(ask(gateway, import_target(job_id), "PUT", headers, body=b"{}"))


def arrived(upstream: FaultUpstream) -> list[str]:
    """Method and last segment of what reached the upstream, in order."""
    return [f"{seen.method.decode()} {seen.path.decode().rpartition('/')[2]}" for seen in upstream.requests]


async def test_writes_go_before_reads(upstream: FaultUpstream) -> None:
    """Whoever comes first, a write has the next turn; reads have theirs in the order they came."""
    async with paused(upstream) as gateway:
        tasks = []
        for number in range(3):
            tasks.append(reading(gateway, f"r{number}"))
            await queued(gateway, number + 1)
        for number in range(2):
            tasks.append(writing(gateway, f"w{number}"))
            await queued(gateway, number + 1, "write")
        assert upstream.requests == []
        assert (await ask(gateway, TWIN)).status == 200
        answers = await asyncio.gather(*tasks)
    assert [answer.status for answer in answers] == [200, 200, 200, 204, 204]
    assert arrived(upstream) == ["GET t1", "PUT w0", "PUT w1", "GET r0", "GET r1", "GET r2"]


async def test_what_was_given_up_in_the_queue_is_never_sent(upstream: FaultUpstream) -> None:
    """An app that leaves while its request waits: a write did not happen, and neither costs a turn.

    A read goes once the last app has left that waits for it.
    """
    async with paused(upstream) as gateway:
        writes = [writing(gateway, "left"), writing(gateway, "left-too", named=False)]
        reads = [reading(gateway, "left"), reading(gateway, "left")]
        await under_way(gateway, 2)
        await queued(gateway, 1)
        await queued(gateway, 2, "write")
        await abandon(reads[0])
        await under_way(gateway, 1)
        await queued(gateway, 1)
        for left in (reads[1], *writes):
            await abandon(left)
        await under_way(gateway, 0)
        await under_way(gateway, 0, "PUT")
        await queued(gateway, 0)
        await queued(gateway, 0, "write")
        assert upstream.requests == []
        assert (await reading(gateway, "stayed")).status == 200
        assert (await writing(gateway, "stayed")).status == 204
        turns = [await sample(gateway, TURNS.format(priority)) for priority in ("read", "write")]
    assert arrived(upstream) == ["GET stayed", "PUT stayed"]
    assert turns == [1, 2]


async def test_the_queue_has_an_end(upstream: FaultUpstream) -> None:
    """With `jobs.max_queued` waiting, the next is told so at once, whoever it is; nothing is sent for it."""
    async with paused(upstream, max_queued=2) as gateway:
        waiting = [reading(gateway, "one"), reading(gateway, "two")]
        await queued(gateway, 2)
        for refused in (await reading(gateway, "three"), await writing(gateway, "four")):
            assert (refused.status, error_of(refused)["code"]) == (429, "GatewayRateLimited")
            assert b"jobs.max_queued" in refused.body
            assert int(refused.value(b"retry-after") or b"0") >= 1
        assert upstream.requests == []
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert sorted(arrived(upstream)) == ["GET one", "GET two"]


@pytest.mark.parametrize("shared", [True, False])
async def test_a_read_that_meets_429_goes_again(upstream: FaultUpstream, shared: bool) -> None:
    """The upstream's `Retry-After` is waited for, and only who cannot wait that long hears of it."""
    upstream.default = JobsService()
    upstream.on("/jobs/imports/one", _busy(150), _busy(150), JobsService())
    upstream.on("/jobs/imports/two", faults.reply(429, b"", [(b"Retry-After", b"60")]))
    async with sharing_gateway(upstream.origin, jobs={**QUICK, "coalesce": shared}) as gateway:
        assert (await reading(gateway, "one")).status == 200
        assert await sample(gateway, 'adt_jobs_throttled_total{priority="read"}') == 2
        assert await sample(gateway, 'adt_gateway_retries_total{reason="throttled"}') == 2
        answer = await reading(gateway, "two", wait=5)
        assert error_of(answer, origin="upstream")["code"] == "TooManyRequests"
        assert answer.value(b"retry-after") == b"60"
        refused = await reading(gateway, "three", wait=5)
        assert error_of(refused)["code"] == "GatewayRateLimited"
        assert int(refused.value(b"retry-after") or b"0") > 50
    assert arrived(upstream) == ["GET one", "GET one", "GET one", "GET two"]


async def test_during_a_pause_nothing_is_sent(upstream: FaultUpstream) -> None:
    """A read that met a 429 waits with everybody else; when the pause is over, the write goes first."""
    upstream.default = JobsService()
    upstream.on("/jobs/imports/met", _busy(PAUSE), JobsService())
    async with sharing_gateway(upstream.origin, jobs=QUICK) as gateway:
        met = reading(gateway, "met")
        await upstream.received(1)
        await queued(gateway, 1)
        write = writing(gateway, "write")
        await queued(gateway, 1, "write")
        later = reading(gateway, "later")
        await queued(gateway, 2)
        assert len(upstream.requests) == 1
        answers = await asyncio.gather(met, write, later)
    assert [answer.status for answer in answers] == [200, 204, 200]
    assert arrived(upstream) == ["GET met", "PUT write", "GET met", "GET later"]


async def test_a_write_that_meets_429_is_told_so(upstream: FaultUpstream) -> None:
    """A write is never sent again: its app gets the upstream's 429 as it came."""
    upstream.default = service = JobsService()
    service.write = faults.reply(429, b"", [(b"Retry-After", b"60")])
    async with sharing_gateway(upstream.origin, jobs=QUICK) as gateway:
        answer = await writing(gateway, "one")
        assert error_of(answer, origin="upstream")["code"] == "TooManyRequests"
        assert answer.value(b"retry-after") == b"60"
        assert await sample(gateway, 'adt_jobs_throttled_total{priority="write"}') == 1
        assert (await reading(gateway, "two", wait=5)).value(CODE) == b"GatewayRateLimited"
    assert arrived(upstream) == ["PUT one"]


@pytest.mark.parametrize("shared", [True, False])
async def test_without_a_rate_a_429_passes(upstream: FaultUpstream, shared: bool) -> None:
    """`jobs.rate` 0: nothing waits, a 429 of the upstream's is the app's, and nobody else hears of it."""
    upstream.on("/jobs/imports/busy", faults.reply(429, b"", [(b"Retry-After", b"1")]))
    jobs = {**QUICK, "rate": 0, "coalesce": shared}
    async with sharing_gateway(upstream.origin, jobs=jobs) as gateway:
        busy = await reading(gateway, "busy")
        assert error_of(busy, origin="upstream")["code"] == "TooManyRequests"
        for number in range(5):
            assert (await reading(gateway, f"{number}", wait=0)).status == 200
    assert len(upstream.requests) == 6
