"""Gateways of a fleet that are killed (SIGKILL): what they were at, another one goes on with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.emulator import RunningEmulator, running_emulator
from gateway.emulator.faults import Fault
from tests.support.azure import auth_for, fast, http_client
from tests.support.foreign_jobs import created_elsewhere, ended_elsewhere
from tests.support.process import Serving, serving
from tests.support.redis_server import redis_server
from tests.support.wire import until

FINISHED = 'adt_jobs_finished_total{error_code="",kind="import",status="succeeded"}'
WATCHING = "adt_gateway_fleet_watching"


@asynccontextmanager
async def gateways(cloud: RunningEmulator, store: str, count: int) -> AsyncIterator[list[Serving]]:
    """So many gateways in processes of their own."""
    oauth2 = auth_for(cloud.url, cloud.emulator.state.settings)["oauth2"]
    environ = {
        "ADT_GATEWAY_UPSTREAM__BASE_URL": cloud.url,
        "ADT_GATEWAY_AUTH__MODE": "oauth2",
        **{f"ADT_GATEWAY_AUTH__OAUTH2__{name.upper()}": value for name, value in oauth2.items()},
        "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
        "ADT_GATEWAY_JOBS__RATE": "50",
        "ADT_GATEWAY_FLEET__URL": store,
        "ADT_GATEWAY_FLEET__EXPECTED_SIZE": str(count),
    }
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving(environ)) for _ in range(count)]


async def shown(gateway: Serving, metric: str) -> float:
    """A sample; 0 where there is none."""
    async with http_client(gateway.admin, params={}) as operator:
        lines = (await operator.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(metric + " "))


async def watcher(alive: list[Serving]) -> Serving | None:
    """The one that follows jobs, if it is one."""
    watching = [gateway for gateway in alive if await shown(gateway, WATCHING)]
    return watching[0] if len(watching) == 1 else None


@pytest.mark.slow
async def test_the_watcher_is_replaced(tmp_path: Path) -> None:
    """The gateway that follows jobs is killed: another one does, and each end is counted once."""
    async with running_emulator(fast()) as cloud:
        with redis_server(tmp_path) as store:
            async with gateways(cloud, store.url, 3) as alive:
                created_elsewhere(cloud, "one", "two")
                for gateway in alive:
                    async with http_client(gateway.data) as app:
                        assert (await app.get("/jobs/imports")).status_code == 200
                first: Serving | None = None

                async def one_watches() -> bool:
                    nonlocal first
                    first = await watcher(alive)
                    return first is not None

                await until(one_watches)
                assert first is not None
                first.process.kill()
                await first.process.wait()
                left = [gateway for gateway in alive if gateway is not first]
                ended_elsewhere(cloud, "one", "two")

                async def both_are_told() -> bool:
                    return sum([await shown(gateway, FINISHED) for gateway in left]) == 2

                async with asyncio.timeout(60):
                    while not await both_are_told():  # noqa: ASYNC110 - elsewhere, in other processes
                        await asyncio.sleep(0.2)
                assert await watcher(left) is not None


@pytest.mark.slow
async def test_a_leader_that_is_killed_fails_nobody(tmp_path: Path) -> None:
    """A gateway is killed while its read is what others wait for: they get their answers all the same."""
    async with running_emulator(fast()) as cloud:
        with redis_server(tmp_path) as store:
            async with gateways(cloud, store.url, 2) as (one, two):
                created_elsewhere(cloud, "one")
                faults = cloud.emulator.state.faults
                faults.add(Fault(delay=30, pattern="/jobs/imports/one"))
                async with http_client(one.data) as app, http_client(two.data) as other:
                    led = asyncio.ensure_future(app.get("/jobs/imports/one"))

                    async def is_sent() -> bool:
                        return not faults.all()

                    await until(is_sent)
                    follows = asyncio.ensure_future(other.get("/jobs/imports/one"))
                    one.process.kill()
                    assert (await follows).json()["id"] == "one"
                    with pytest.raises(httpx.HTTPError):
                        await led
