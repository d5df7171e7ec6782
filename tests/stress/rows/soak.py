"""Half an hour of what apps do, with faults of every class: nothing may grow, and nothing be miscounted."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.bench import processes
from tests.bench.report import Figure
from tests.stress.gateway import Gateway, Scrape
from tests.stress.load import LEFT, Result, Shot
from tests.stress.row import Outcome, Row, exactly, none
from tests.stress.stage import Stage, percentile, unwanted
from tests.stress.upstream import JOBS
from tests.support.issuer import Issuer

RATE = 50.0
SLOPE = 1.0
"""MiB in ten minutes."""
TREND = 5.0
"""Files and tasks in ten minutes: the counts of a moment go up and down by more than that."""
_EVERY = 10.0
"""Seconds between two looks."""
_WARM_UP = 1 / 6
"""Of the time; five minutes of thirty."""
_VERSION = "api-version=2023-10-31"
_TRAFFIC = (
    Shot("read a twin", f"/digitaltwins/t{{n}}?{_VERSION}", weight=50, ids=500),
    Shot("change a twin", f"/digitaltwins/t{{n}}?{_VERSION}&status=204", "PATCH", 15, 500, 200, "204"),
    Shot("create a twin", f"/digitaltwins/t{{n}}?{_VERSION}", "PUT", 5, 500, 2_000),
    Shot("query", f"/query?{_VERSION}", "POST", 15, body=300),
    Shot("list models", f"/models?{_VERSION}", weight=4),
    Shot("poll an import", f"/jobs/imports/i{{n}}?{_VERSION}", weight=9, ids=JOBS),
    Shot("list imports", f"/jobs/imports?{_VERSION}", weight=0.2),
    Shot("create an import", f"/jobs/imports/i{{n}}?{_VERSION}", "PUT", 0.1, JOBS, 200, "201"),
)


def _fault(name: str, query: str, wanted: str, method: str = "GET", leave: float | None = None) -> Shot:
    """One of ten, so that together they are 1 %."""
    body = 200 if method == "POST" else None
    target = "/query" if method == "POST" else "/digitaltwins/t1"
    return Shot(name, f"{target}?{_VERSION}&{query}", method, 0.1, 1, body, wanted, leave)


_FAULTS = (
    _fault("connection cut", "cut=head", "502 GatewayUpstreamConnectionLost"),
    _fault("connection cut in a write", "cut=head", "502 GatewayUpstreamConnectionLost", "POST"),
    _fault("garbage", "garbage=1", "502 GatewayBadUpstreamResponse"),
    _fault("slow", "delay=7", "504 GatewayUpstreamTimeout"),
    _fault("slow write", "delay=7", "502 GatewayUpstreamTimeout", "POST"),
    _fault("500", "status=500&code=InternalServerError", "500 InternalServerError"),
    _fault("503", "status=503", "503 ServiceUnavailable"),
    _fault("429", "status=429&code=TooManyRequests", "429 TooManyRequests"),
    _fault("401", "status=401&code=Unauthorized", "401 Unauthorized"),
    _fault("client that leaves", "delay=1", LEFT, leave=0.3),
)
_SHOTS = (*_TRAFFIC, *_FAULTS)
_SETTINGS = {
    "UPSTREAM__TIMEOUT__FIRST_BYTE": "5",
    "UPSTREAM__TIMEOUT__QUERY_FIRST_BYTE": "5",
    "UPSTREAM__POOL_IDLE": "5",
    # The default of ten minutes would renew the client twice; what a renewal leaves behind shall show.
    "UPSTREAM__CONNECTION_AGE": "120",
}


@dataclass(frozen=True, slots=True)
class _Look:
    """What the gateway holds at one moment."""

    at: float
    memory: float
    counts: Mapping[str, int]
    """Open files, tasks and threads."""


async def run(stage: Stage) -> Outcome:
    """The mix at a steady rate, and a look every ten seconds."""
    seconds = stage.minutes * 60
    every = min(_EVERY, seconds / 12)
    looks: list[_Look] = []
    async with (
        Issuer() as issuer,
        stage.upstream() as upstream,
        stage.collector() as collector,
        stage.gateway(upstream, issuer, collector, watched=True, settings=_SETTINGS) as gateway,
    ):
        stage.say("warming up")
        await stage.load(gateway, RATE, stage.pick(20.0, 2.0), *_TRAFFIC, seed=9)
        rest = await _look(gateway, 0.0)
        before = await gateway.scrape()
        # In a quick run one in ten, so that each of them comes.
        faults = [replace(shot, weight=shot.weight * stage.pick(1, 10)) for shot in _FAULTS]
        load = asyncio.ensure_future(stage.load(gateway, RATE, seconds, *_TRAFFIC, *faults))
        while not load.done():
            looks.append(await _look(gateway, len(looks) * every))
            await gateway.scrape()
            await collector.ask("/spans")
            _tell(stage, looks)
            await asyncio.wait((load,), timeout=every)
        after, left = await _at_rest(gateway, rest)
    result = await load
    outcome = _outcome(result, before, after)
    _add_growth(outcome, rest, left, looks)
    return outcome


async def _look(gateway: Gateway, at: float) -> _Look:
    memory = processes.resident(gateway.pid)
    counts = {"files": gateway.files(), "tasks": await gateway.tasks(), "threads": gateway.threads()}
    return _Look(at, memory, counts)


def _tell(stage: Stage, looks: list[_Look]) -> None:
    last = looks[-1]
    what = f"{last.memory:.1f} MiB, {last.counts['files']} files, {last.counts['tasks']} tasks"
    if len(looks) % 6 == 1:
        stage.say(f"{last.at / 60:.0f} of {stage.minutes:g} min: {what}")


async def _at_rest(gateway: Gateway, rest: _Look) -> tuple[Scrape, _Look]:
    """What it holds some seconds after the load: connections that were idle before may be there again."""
    for _ in range(100):
        left = await _look(gateway, 0.0)
        if all(left.counts[name] <= rest.counts[name] for name in ("files", "tasks")):
            break
        await asyncio.sleep(0.5)
    return await gateway.scrape(), left


def _outcome(result: Result, before: Scrape, after: Scrape) -> Outcome:
    wrong = unwanted(result, _SHOTS)
    note = f"of {result.requests:,}; {'; '.join(result.wrong[:3])}".rstrip("; ")
    outcome = Outcome([none("answers that were not the right ones", wrong, note)])
    injected: Counter[str] = Counter()
    for shot in _FAULTS:
        _, _, code = shot.wanted.partition(" ")
        injected[code or "client left"] += sum(result.outcomes.get(shot.name, {}).values())
    counted = Counter(after.errors())
    counted.subtract(before.errors())
    for code in sorted((injected.keys() | counted.keys()) - {"client left"}):
        outcome.promises.append(
            exactly(f"counted as {code}, of those injected", counted[code], injected[code])
        )
    gone = result.outcomes.get("client that leaves", {})
    outcome.promises.append(
        none(
            "clients that left and got an answer",
            injected["client left"] - gone.get(LEFT, 0),
            f"of {injected['client left']}",
        )
    )
    times = [time for shot in _TRAFFIC[:5] for time in result.times.get(shot.name, ())]
    outcome.measures.append(Figure("p99 beside jobs", percentile(times, 0.99), "ms"))
    return outcome


def _add_growth(outcome: Outcome, rest: _Look, left: _Look, looks: list[_Look]) -> None:
    settled = [look for look in looks if look.at >= _WARM_UP * looks[-1].at]
    growth = slope([(look.at, look.memory) for look in settled]) * 600
    memory = [look.memory for look in settled]
    span = f"{memory[0]:.1f} to {memory[-1]:.1f} MiB, {len(memory)} looks"
    outcome.measures.append(Figure("memory in ten minutes", growth, "MiB", SLOPE, note=span))
    for name, limit in (("files", 0), ("tasks", 0), ("threads", 2)):
        values = [look.counts[name] for look in settled]
        first, last = rest.counts[name], left.counts[name]
        note = f"{first} before, {min(values)} to {max(values)} under load, {last} after"
        outcome.promises.append(
            Figure(f"{name} after the load, over those before", last - first, "", limit, "at most", note=note)
        )
        trend = slope([(look.at, look.counts[name]) for look in settled]) * 600
        outcome.measures.append(Figure(f"{name} in ten minutes", trend, "", TREND))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line with the least squares; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    x = sum(at for at, _ in points) / len(points)
    y = sum(value for _, value in points) / len(points)
    spread = sum((at - x) ** 2 for at, _ in points)
    return sum((at - x) * (value - y) for at, value in points) / spread if spread else 0.0


ROW = Row(
    "soak",
    "30 minutes at 50 requests/s of app traffic with 1 % faults",
    "memory under 1 MiB in ten minutes after a warm-up, files and tasks flat, error classes as injected",
    seconds=1_860,
    quick_seconds=55,
    run=run,
)
