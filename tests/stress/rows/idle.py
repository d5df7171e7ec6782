"""Ten thousand connections that are open for nothing."""

from tests.bench import processes
from tests.bench.report import Figure
from tests.stress.gateway import Gateway
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import TWIN, Stage, percentile, unwanted
from tests.support.issuer import Issuer

RATE = 50.0
GROWTH = 100.0
"""MiB over the memory before."""


async def run(stage: Stage) -> Outcome:
    """Connections that have asked once, then as many that say nothing at all."""
    count, seconds = (500, 3.0) if stage.quick else (10_000, 20.0)
    outcome = Outcome()
    async with Issuer() as issuer, stage.upstream() as upstream, stage.collector() as collector:
        for way, name in (("idle", "that asked once"), ("silent", "that say nothing")):
            stage.say(f"{count:,} connections {name}")
            async with stage.gateway(upstream, issuer, collector) as gateway:
                await _crowded(stage, gateway, way, f"{count:,} {name}", count, seconds, outcome)
    return outcome


async def _crowded(
    stage: Stage, gateway: Gateway, way: str, name: str, count: int, seconds: float, outcome: Outcome
) -> None:
    await stage.load(gateway, RATE, 3.0)
    base = processes.resident(gateway.pid)
    processes.reset_peak(gateway.pid)
    async with stage.crowd(gateway, count, way) as crowd:
        result = await stage.load(gateway, RATE, seconds)
        told = await crowd.told()
    grown = processes.peak(gateway.pid) - base
    lost = max(0, count - told["open"] - told["refused"] - told["closed"])
    held = f"{told['most']:,} at once, {told['open']:,} at the end, {told['closed']:,} closed by the gateway"
    p99 = percentile(result.times.get("twin", ()), 0.99)
    outcome.promises += [
        none(f"of {name} neither held nor refused", lost, held),
        none(f"errors beside {name}", unwanted(result, (TWIN,)), f"of {result.requests:,}"),
    ]
    outcome.measures += [
        Figure(f"memory with {name}, over that before", grown, "MiB", GROWTH, "at most"),
        Figure(f"p99 beside {name}", p99, "ms"),
    ]


ROW = Row(
    "idle",
    "10,000 idle connections beside 50 requests/s",
    "held, or refused by rule; 100 MiB more at most",
    seconds=75,
    quick_seconds=15,
    run=run,
)
