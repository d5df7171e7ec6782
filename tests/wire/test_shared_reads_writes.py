"""Whatever writes jobs through the gateway: no read after it gets an answer from before it."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.sharing import (
    CACHE_STATUS,
    HIT,
    MISS,
    JobsService,
    import_target,
    sharing_gateway,
    under_way,
)
from tests.support.upstream import FaultUpstream
from tests.support.wire import ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS = {
    "import": import_target("one"),
    "another": import_target("two"),
    "imports": f"/jobs/imports?{API}",
    "deletion": f"/jobs/deletions/del?{API}",
}
WRITES = {
    "add": ("PUT", f"/jobs/imports/one?{API}"),
    "delete": ("DELETE", f"/jobs/imports/one?{API}"),
    "cancel": ("POST", f"/jobs/imports/one/cancel?{API}"),
    "delete all": ("POST", f"/jobs/deletions?{API}"),
    "capitals": ("DELETE", f"/Jobs/Imports/one?{API}"),
    "slash at the end": ("DELETE", f"/jobs/imports/one/?{API}"),
    "encoded slash": ("DELETE", f"/jobs%2Fimports/one?{API}"),
    "encoded letters": ("POST", f"/%6Aobs/imports/one/cancel?{API}"),
    "unknown method": ("PATCH", f"/jobs/imports/one?{API}"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sharing(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway for the module."""
    async with sharing_gateway(module_upstream.origin) as running:
        yield running


@pytest.fixture
def service(upstream: FaultUpstream) -> JobsService:
    """What the upstream answers unless a test says otherwise."""
    upstream.default = service = JobsService("one", "two")
    return service


async def read(gateway: RunningGateway, target: str = READS["import"]) -> tuple[bytes | None, int]:
    """How a read was answered, and the number of the upstream's read that the answer is of."""
    answer = await ask(gateway, target)
    assert answer.status == 200
    number = (answer.value(b"x-ms-request-id") or b"").removeprefix(b"read-")
    return answer.value(CACHE_STATUS), int(number)


async def write(gateway: RunningGateway, name: str) -> int:
    """The status that comes of one of the writes."""
    method, target = WRITES[name]
    return (await ask(gateway, target, method, body=b"{}" if method == "PUT" else None)).status


@pytest.mark.parametrize("name", WRITES)
async def test_the_read_after_a_write_goes_upstream(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService, name: str
) -> None:
    """Kept answers are given up with a write, whatever it is and however its path is spelt."""
    await write(sharing, name)
    for target in READS.values():
        (how, number), again = await read(sharing, target), await read(sharing, target)
        assert (how, again) == (MISS, (HIT, number))
    await write(sharing, name)
    assert [(await read(sharing, target))[0] for target in READS.values()] == [MISS] * 4


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_a_write_that_failed_may_have_been_done(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService, status: int
) -> None:
    """After an error the state is not known either: the next read goes upstream."""
    await read(sharing)
    service.write = faults.reply(status)
    assert await write(sharing, "delete") == status
    assert (await read(sharing))[0] == MISS


async def test_a_write_that_broke_may_have_been_done(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """A write whose connection breaks leaves no kept answer behind."""
    await read(sharing)
    service.write = faults.cut()
    assert await write(sharing, "delete") == 502
    assert (await read(sharing))[0] == MISS


async def test_a_read_from_before_the_write_is_not_joined_and_not_kept(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """A slow read that began before a write: who waits for it gets it, and nobody who asks afterwards."""
    await write(sharing, "delete")
    service.gate.clear()
    slow = asyncio.create_task(read(sharing))
    await upstream.received(2)
    assert await write(sharing, "add") == 204
    after = [asyncio.create_task(read(sharing)) for _ in range(2)]
    await under_way(sharing, 3)
    await upstream.received(4)
    service.gate.set()
    old, first, second = await slow, *await asyncio.gather(*after)
    assert (old[1], first[1], second[1]) == (1, 2, 2)
    assert await read(sharing) == (HIT, 2)
    assert len(upstream.requests) == 4


async def test_a_read_during_the_write_goes_upstream_and_is_not_kept(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """While a write is under way nobody knows what holds: what is read then is not given again after it."""
    await write(sharing, "delete")
    assert await read(sharing) == (MISS, 1)
    gate = asyncio.Event()
    service.write = faults.gated(gate, faults.reply(200, b"{}"))
    writing = asyncio.create_task(write(sharing, "cancel"))
    await upstream.received(3)
    assert await read(sharing) == (MISS, 2)
    service.gate.clear()
    slow = asyncio.create_task(read(sharing, READS["another"]))
    await upstream.received(5)
    gate.set()
    assert await writing == 200
    service.gate.set()
    assert (await slow)[1] == 3
    assert await read(sharing) == (MISS, 4)
    assert await read(sharing, READS["another"]) == (MISS, 5)


async def test_other_writes_leave_reads_alone(
    sharing: RunningGateway, upstream: FaultUpstream, service: JobsService
) -> None:
    """Twins and queries have nothing to do with jobs."""
    await read(sharing)
    for method, target in (("PATCH", "/digitaltwins/t"), ("POST", "/query"), ("DELETE", "/models/m")):
        assert (await ask(sharing, target, method)).status == 204
    assert (await read(sharing))[0] == HIT
    assert json.loads((await ask(sharing, READS["import"])).body)["id"] == "one"
