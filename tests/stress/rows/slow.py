"""Apps that send or take a byte now and then must not slow down those that do not."""

import asyncio
import time

from tests.bench import processes
from tests.bench.report import Figure
from tests.stress.gateway import Gateway
from tests.stress.load import Result
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import TWIN, Stage, percentile, unwanted
from tests.support.issuer import Issuer

RATE = 50.0
SLOWER = 2.0
"""Times the baseline's p99."""
_CALM = 0.3
"""Of a core; what 500 heads of a byte a second take is less."""
_CALM_WITHIN = 20.0
WAYS = {
    "heads": "slow heads",
    "bodies": "slow bodies",
    "uploads": "slow large bodies",
    "readers": "slow readers",
}


async def run(stage: Stage) -> Outcome:
    """A baseline before and after, and the same load beside each kind of slow app."""
    count, seconds = (50, 3.0) if stage.quick else (500, 20.0)
    outcome = Outcome()
    async with (
        Issuer() as issuer,
        stage.upstream() as upstream,
        stage.collector() as collector,
        stage.gateway(upstream, issuer, collector) as gateway,
    ):
        stage.say(f"{RATE:g} requests/s alone")
        await stage.load(gateway, RATE, 2.0)
        baseline = [await stage.load(gateway, RATE, seconds)]
        beside = {}
        for way, name in WAYS.items():
            stage.say(f"beside {count} {name}")
            beside[way] = await _beside(stage, gateway, way, count, seconds)
        stage.say(f"{RATE:g} requests/s alone again")
        baseline.append(await stage.load(gateway, RATE, seconds))
    alone = percentile([time for each in baseline for time in each.times["twin"]], 0.99)
    note = " and ".join(f"{percentile(each.times['twin'], 0.99):.1f}" for each in baseline)
    outcome.measures.append(Figure("p99 alone", alone, "ms", note=f"{note} before and after"))
    for way, (result, note) in beside.items():
        failed = unwanted(result, (TWIN,))
        outcome.promises.append(
            none(f"errors beside {count} {WAYS[way]}", failed, f"of {result.requests:,}; {note}")
        )
        if times := result.times.get("twin", ()):
            worse = percentile(times, 0.99) / alone
            name = f"p99 beside {count} {WAYS[way]}, against alone"
            outcome.measures.append(Figure(name, worse, "times", SLOWER))
    return outcome


async def _beside(stage: Stage, gateway: Gateway, way: str, count: int, seconds: float) -> tuple[Result, str]:
    async with stage.crowd(gateway, count, way) as crowd:
        await _calm(gateway)
        result = await stage.load(gateway, RATE, seconds, seed=2)
        told = await crowd.told()
    answers = ", ".join(f"{n} got {status}" for status, n in told["answers"].items())
    return (
        result,
        f"{told['open']} open at the end, {told['closed']} closed meanwhile{answers and '; '}{answers}",
    )


async def _calm(gateway: Gateway) -> None:
    """Wait until the gateway has little to do: buffers are full, and only slowness is left."""
    deadline = time.perf_counter() + _CALM_WITHIN
    busy = 1.0
    while busy > _CALM and time.perf_counter() < deadline:
        before = processes.cpu_seconds(gateway.pid)
        await asyncio.sleep(1.0)
        busy = processes.cpu_seconds(gateway.pid) - before


ROW = Row(
    "slow",
    "500 slow heads, 500 slow bodies, small and large, 500 slow readers, each beside 50 requests/s",
    "normal p99 below twice the baseline's, 0 errors",
    seconds=145,
    quick_seconds=25,
    run=run,
)
