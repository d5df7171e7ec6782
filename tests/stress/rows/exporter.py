"""A trace collector that is down, slow or refusing must cost spans, and nothing else."""

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.bench import processes
from tests.bench.report import Figure
from tests.stress.gateway import Gateway
from tests.stress.greedy import Harvest
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import TWIN, Process, Stage, percentile
from tests.support.issuer import Issuer

WORSE = 5.0
"""Per cent of the healthy one's p99."""
MORE = 16.0
"""MiB over what the healthy one's memory grew."""
_APPS = 2
_QUEUED = 2_048 + 512
"""Spans that may be under way: OpenTelemetry's queue and batch, as they are by default."""
_HEALTHY, _CONTROL = "healthy", "healthy again"
_TARGET = TWIN.target.replace("{n}", "1")


@dataclass(slots=True)
class _Case:
    gateway: Gateway
    collector: Process | None
    base: float
    """Resident memory after the warm-up, MiB."""
    times: list[float] = field(default_factory=list)
    requests: int = 0
    failed: int = 0

    def take(self, harvest: Harvest) -> None:
        self.times += harvest.times.get("200", ())
        answers = sum(len(each) for each in harvest.times.values())
        self.requests += answers
        self.failed += answers - harvest.count("200") + harvest.broken

    @property
    def p99(self) -> float:
        return percentile(self.times, 0.99)

    @property
    def grown(self) -> float:
        return processes.resident(self.gateway.pid) - self.base


async def run(stage: Stage) -> Outcome:
    """Rounds that go from one gateway to the next, so that the machine's moods hit all alike."""
    rounds, seconds = (2, 0.5) if stage.quick else (20, 1.5)
    async with AsyncExitStack() as there:
        issuer = await there.enter_async_context(Issuer())
        upstream = await there.enter_async_context(stage.upstream())
        cases = {}
        for name, status, delay in (
            (_HEALTHY, 200, 0.0),
            (_CONTROL, 200, 0.0),
            ("down", 0, 0.0),
            ("slow", 200, 5.0),
            ("refusing", 503, 0.0),
        ):
            collector = await there.enter_async_context(stage.collector(status, delay)) if status else None
            port = collector or processes.free_port()
            gateway = await there.enter_async_context(stage.gateway(upstream, issuer, port))
            await _harvest(stage, gateway, 1.0)
            cases[name] = _Case(gateway, collector, processes.resident(gateway.pid))
        for number in range(rounds):
            stage.say(f"round {number + 1} of {rounds}")
            names = list(cases)
            for name in (*names[number % len(names) :], *names[: number % len(names)]):
                cases[name].take(await _harvest(stage, cases[name].gateway, seconds))
        return await _outcome(cases)


async def _harvest(stage: Stage, gateway: Gateway, seconds: float) -> Harvest:
    arguments = (str(gateway.data), str(_APPS), str(seconds), _TARGET, "retry-after")
    async with stage.running("tests.stress.greedy", *arguments) as process:
        printed, _ = await process.communicate()
    return Harvest(**json.loads(printed))


async def _outcome(cases: dict[str, _Case]) -> Outcome:
    healthy, control = cases.pop(_HEALTHY), cases.pop(_CONTROL)
    alone = (healthy.p99 + control.p99) / 2
    noise = abs(healthy.p99 - control.p99) / alone * 100
    outcome = Outcome()
    outcome.promises.append(
        none("failed requests", sum(each.failed for each in (healthy, control, *cases.values())))
    )
    outcome.measures += [
        Figure("p99, healthy", alone, "ms", note=f"{len(healthy.times) + len(control.times):,} requests"),
        Figure("p99, healthy against healthy: the noise", noise, "%"),
    ]
    for name, case in cases.items():
        worse = (case.p99 / alone - 1) * 100
        outcome.measures += [
            Figure(
                f"p99, {name}, over healthy",
                worse,
                "%",
                WORSE + noise,
                "at most",
                note=f"{WORSE:g} % and the noise",
            ),
            Figure(f"memory, {name}, over healthy", case.grown - healthy.grown, "MiB", MORE, "at most"),
        ]
        lost, counted = await _spans(case)
        uncounted = max(0.0, lost - counted - _QUEUED)
        note = f"{counted:,.0f} counted as dropped; {_QUEUED:,} may be under way"
        outcome.promises.append(none(f"spans, {name}, neither arrived nor counted", uncounted, note))
    return outcome


async def _spans(case: _Case) -> tuple[float, float]:
    """Spans that did not arrive, and those that the gateway counted as dropped."""
    scrape = await case.gateway.scrape()
    made = 2 * scrape.total("http_server_request_duration_seconds_count")
    arrived = 0 if case.collector is None else await case.collector.ask("/spans")
    return made - arrived, scrape.total("adt_gateway_spans_dropped_total")


ROW = Row(
    "exporter",
    "the trace collector down, slow, refusing, beside a healthy one",
    "data path p99 within 5 %, memory bounded, drops counted",
    seconds=215,
    quick_seconds=30,
    run=run,
)
