"""Ten times as many apps as the gateway lets through: it goes on serving as many, and sends the rest away."""

import asyncio
import json
from collections.abc import Mapping

from tests.bench.report import Figure
from tests.stress.client import fetch
from tests.stress.gateway import Gateway
from tests.stress.greedy import Harvest
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import UNPACED, Stage, percentile
from tests.support.issuer import Issuer

LIMIT = 10
TIMES = 10
GOODPUT = 90.0
"""Per cent of what as many apps as the limit get."""
EXCESS = 5.0
"""Milliseconds in which the excess is answered."""
_TARGET = "/digitaltwins/t1?api-version=2023-10-31&delay=0.1"
_REFUSED = "503 GatewayOverloaded"
_SETTINGS: Mapping[str, str] = {
    **UNPACED,
    "UPSTREAM__MAX_CONNECTIONS": str(LIMIT),
    "UPSTREAM__MAX_QUEUED": str(LIMIT),
    "UPSTREAM__TIMEOUT__POOL": "1",
}


async def run(stage: Stage) -> Outcome:
    """As many apps as the limit, then ten times as many: that heed Retry-After, and that hardly pause."""
    seconds = stage.pick(30.0, 4.0)
    async with (
        Issuer() as issuer,
        stage.upstream() as upstream,
        stage.collector() as collector,
        stage.gateway(upstream, issuer, collector, settings=_SETTINGS) as gateway,
    ):
        stage.say(f"{LIMIT} apps, as many as the limit")
        alone = await _harvest(stage, gateway, LIMIT, seconds / 2, "retry-after")
        apps = LIMIT * TIMES
        stage.say(f"{apps} apps that heed Retry-After")
        heeding, probes = await _probed(stage, gateway, apps, seconds, "retry-after")
        stage.say(f"{apps} apps that pause for 0.1 s")
        hasty, more = await _probed(stage, gateway, apps, seconds / 2, "0.1")
    outcome = Outcome()
    outcome.promises.append(none("probes of /livez that failed", probes + more))
    outcome.measures.append(Figure(f"goodput of {LIMIT} apps", _rate(alone), "/s"))
    for name, harvest in ((f"{apps} apps", heeding), (f"{apps} apps that pause for 0.1 s", hasty)):
        _add(outcome, name, harvest, alone, EXCESS if harvest is heeding else None)
    return outcome


async def _probed(
    stage: Stage, gateway: Gateway, apps: int, seconds: float, pause: str
) -> tuple[Harvest, int]:
    """The harvest, and how many probes of the admin listener failed meanwhile."""
    failed, harvest = 0, asyncio.ensure_future(_harvest(stage, gateway, apps, seconds, pause))
    while not harvest.done():
        failed += (await fetch(gateway.admin, "/livez"))[0] != 200
        await asyncio.sleep(0.2)
    return await harvest, failed


async def _harvest(stage: Stage, gateway: Gateway, apps: int, seconds: float, pause: str) -> Harvest:
    arguments = (str(gateway.data), str(apps), str(seconds), _TARGET, pause)
    async with stage.running("tests.stress.greedy", *arguments) as process:
        printed, _ = await process.communicate()
    return Harvest(**json.loads(printed))


def _rate(harvest: Harvest) -> float:
    return harvest.count("200") / harvest.seconds


def _add(outcome: Outcome, name: str, harvest: Harvest, alone: Harvest, excess: float | None) -> None:
    others = {
        answer: len(times) for answer, times in harvest.times.items() if answer not in {"200", _REFUSED}
    }
    told = f"{harvest.count('200'):,} of 200, {harvest.count(_REFUSED):,} of 503"
    outcome.promises.append(
        none(
            f"answers to {name} that are neither 200 nor {_REFUSED}",
            sum(others.values()) + harvest.broken,
            told,
        )
    )
    outcome.promises.append(Figure(f"refusals of {name}", harvest.count(_REFUSED), "", 1, "at least"))
    refused = harvest.times.get(_REFUSED, ())
    share = _rate(harvest) / max(_rate(alone), 0.001) * 100
    note = f"p99 {percentile(refused, 0.99):.1f} ms, of {len(refused):,}"
    outcome.measures += [
        Figure(f"goodput of {name}, against that", share, "%", GOODPUT, "at least"),
        Figure(f"{name}: a refusal, median", percentile(refused, 0.5), "ms", excess, note=note),
    ]


ROW = Row(
    "overload",
    f"ten times the concurrency limit for 30 s (`upstream.max_connections` and `max_queued` {LIMIT}, "
    "an upstream that takes 0.1 s)",
    "goodput at least 90 % of the limit's; excess answered in under 5 ms",
    seconds=65,
    quick_seconds=14,
    run=run,
)
