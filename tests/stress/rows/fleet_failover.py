"""The store's primary is killed, and another takes its place: with Sentinels, and in a Cluster."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.bench.report import Figure
from tests.stress.azure import VERSION, WINDOW, Azure, busiest, emulator
from tests.stress.fleet import Fleet, fleet
from tests.stress.row import Outcome, Row, exactly, none
from tests.stress.rows.fleet import JOBS
from tests.stress.rows.fleet_chaos import told
from tests.stress.stage import Stage, percentile
from tests.stress.store import Server, StoreError, cluster, watched

_SIZE = 4
_APPS = 100
_BOUND = WINDOW + _SIZE
_PAUSE = 1.0
_LASTS = 4.0
_BACK_WITHIN = 20.0
"""Seconds; Sentinels and nodes take some of them to agree."""
_SETTINGS = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


async def _sentinel(stage: Stage) -> Outcome:
    async with (
        watched(stage.folder / "sentinel", stage.load_cores) as (servers, sentinels),
        emulator(stage) as azure,
    ):
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)

        async def primary() -> Server:
            told = (await sentinels[0].ask("sentinel", "get-master-addr-by-name", "fleet")).split()
            if len(told) < 2:
                raise StoreError("the Sentinels name no primary")
            return _by_port(servers, int(told[1]))

        return await _run(stage, azure, f"redis+sentinel://{hosts}/fleet", primary)


async def _cluster(stage: Stage) -> Outcome:
    async with cluster(stage.folder / "cluster", stage.load_cores) as nodes, emulator(stage) as azure:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in nodes[:3])

        async def primary() -> Server:
            """The one that has the fleet's keys, and so does most of the work."""
            for node in nodes:
                if (
                    node.running
                    and await node.count("adt-gateway:1:*")
                    and "role:master" in await node.ask("info")
                ):
                    return node
            raise StoreError("no node has the fleet's keys")

        return await _run(stage, azure, f"redis+cluster://{hosts}", primary)


def _by_port(servers: list[Server], port: int) -> Server:
    for server in servers:
        if server.port == port:
            return server
    raise StoreError(f"the Sentinels name a server that there is not: {port}")


async def _run(stage: Stage, azure: Azure, url: str, primary: Callable[[], Awaitable[Server]]) -> Outcome:
    """Load and jobs; in the middle the primary is killed, and started again when another has taken over."""
    seconds = stage.pick(60.0, 30.0)
    past = await azure.have(JOBS, lasts=_LASTS)
    async with fleet(stage, azure, url, size=_SIZE, more=_SETTINGS) as gateways:
        await azure.begin()
        targets = [f"/jobs/imports/{name}?{VERSION}" for name in past]
        polled, created, back = await asyncio.gather(
            gateways.poll(targets, _APPS, seconds, _PAUSE),
            gateways.imports(seconds - 5.0),
            _fail_over(stage, gateways, primary, seconds / 3),
        )
        await asyncio.sleep(8.0)
        await azure.look()
        ends = await gateways.ends()
        watchers = await gateways.total("adt_gateway_fleet_watching")
    most = busiest([each.at for each in azure.arrivals])
    return Outcome(
        promises=[
            *told(created, ends),
            none("requests that failed", len(polled.failures), f"of {polled.requests:,}"),
            Figure(f"requests to ADT in any {WINDOW:g} s", most, "", _BOUND, "at most"),
            exactly("gateways that watch in the end", watchers, 1),
        ],
        measures=[
            Figure("from the kill until all are at the new primary", back, "s", _BACK_WITHIN),
            Figure(
                "p99",
                percentile(polled.times, 0.99),
                "ms",
                note=f"latest {max(polled.times, default=0):.1f} s",
            ),
        ],
    )


async def _fail_over(
    stage: Stage, gateways: Fleet, primary: Callable[[], Awaitable[Server]], after: float
) -> float:
    """Kill the primary; how long until no gateway says that the store is away, once one has said so."""
    await asyncio.sleep(after)
    old = await primary()
    stage.say("the primary is killed")
    began = time.perf_counter()
    await old.kill()
    async with asyncio.timeout(_BACK_WITHIN):
        while await gateways.total("adt_gateway_fleet_store_up") == _SIZE:  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.02)
    await gateways.until_up()
    took = time.perf_counter() - began
    stage.say(f"all are at the new primary after {took:.1f} s")
    await old.start()
    return took


_HOLDS = (
    f"no request fails, no end lost or told twice, at most {_BOUND:g} requests to ADT in any {WINDOW:g} s; "
    f"all at the new primary within {_BACK_WITHIN:g} s"
)
SENTINEL = Row(
    "fleet-sentinel",
    f"{_SIZE} gateways, {_APPS} apps; kill -9 of the primary, with a replica and three Sentinels",
    _HOLDS,
    seconds=85,
    quick_seconds=55,
    run=_sentinel,
)
CLUSTER = Row(
    "fleet-cluster",
    f"{_SIZE} gateways, {_APPS} apps; kill -9 of the primary that has the fleet's keys, in a Cluster of "
    "three with replicas",
    _HOLDS,
    seconds=90,
    quick_seconds=60,
    run=_cluster,
)
