"""Shared reads end well: callers that leave, upstreams that fail."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway
from tests.support.sharing import (
    CACHE_STATUS,
    CALLERS,
    COLLAPSED,
    MISS,
    TRACES,
    JobsService,
    abandon,
    crowd,
    import_target,
    job,
    sharing_gateway,
    told,
    under_way,
)
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import ask, error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sharing(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway for the module; each test reads jobs of its own."""
    async with sharing_gateway(module_upstream.origin, engine=engine) as running:
        yield running


@pytest.fixture
def service(upstream: FaultUpstream) -> JobsService:
    """What the upstream answers unless a test says otherwise."""
    upstream.default = service = JobsService()
    return service


async def test_the_leader_leaves_and_the_others_get_their_answer(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """The app whose request went upstream leaves: those who wait for the same get it nonetheless."""
    service.gate.clear()
    [leader] = await crowd(sharing, import_target("left"), CALLERS[:1])
    await upstream.received(1)
    followers = [asyncio.create_task(ask(sharing, import_target("left"))) for _ in range(3)]
    await under_way(sharing, 4)
    await abandon(leader)
    await under_way(sharing, 3)
    service.gate.set()
    answers = await asyncio.gather(*followers)
    assert {answer.body for answer in answers} == {job("left", read=1)}
    assert told(answers) == [COLLAPSED] * 3
    assert len(upstream.requests) == 1


async def test_once_the_last_one_leaves_the_request_is_given_up(
    sharing: RunningGateway, upstream: FaultUpstream
) -> None:
    """The upstream sees the connection go when nobody waits any more, and not before; later reads work."""
    gone = asyncio.Event()
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"
    stalled = faults.never(half)

    async def stall(call: Call) -> None:
        await stalled(call)
        gone.set()

    upstream.on("/jobs/imports/stalled", stall, JobsService())
    tasks = await crowd(sharing, import_target("stalled"), CALLERS[:3])
    for left, task in enumerate(tasks, start=1):
        assert not gone.is_set()
        await abandon(task)
        await under_way(sharing, 3 - left)
    await asyncio.wait_for(gone.wait(), 20)
    assert (await ask(sharing, import_target("stalled"))).value(CACHE_STATUS) == MISS


async def test_errors_are_for_those_who_wait(sharing: RunningGateway, upstream: FaultUpstream) -> None:
    """An upstream's error is shared by those who waited for it; the next read asks again."""
    gate = asyncio.Event()
    sick = faults.reply(503, b"", [(b"x-ms-error-code", b"ServiceUnavailable"), (b"retry-after", b"7")])
    upstream.on("/jobs/imports/sick", faults.gated(gate, sick), JobsService())
    tasks = await crowd(sharing, import_target("sick"), CALLERS[:5])
    gate.set()
    for answer in await asyncio.gather(*tasks):
        assert answer.status == 503
        assert error_of(answer, origin="upstream")["code"] == "ServiceUnavailable"
        assert answer.value(b"retry-after") == b"7"
    assert (await ask(sharing, import_target("sick"))).status == 200
    assert len(upstream.requests) == 2


async def test_failures_are_for_those_who_wait(sharing: RunningGateway, upstream: FaultUpstream) -> None:
    """No usable answer from the upstream: each of those who wait is told so in its own trace."""
    gate = asyncio.Event()
    upstream.on("/jobs/imports/broken", faults.gated(gate, faults.cut(b"garbage\r\n\r\n")), JobsService())
    tasks = await crowd(sharing, import_target("broken"), CALLERS[:5])
    gate.set()
    answers = await asyncio.gather(*tasks)
    assert {error_of(answer)["code"] for answer in answers} == {"GatewayBadUpstreamResponse"}
    traced = [(answer.value(b"traceresponse") or b"").split(b"-")[1].decode() for answer in answers]
    assert traced == TRACES[:5]
    assert (await ask(sharing, import_target("broken"))).status == 200
    assert len(upstream.requests) == 2
