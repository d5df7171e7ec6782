"""A hundred thousand requests of every kind must not make metrics grow."""

import json

from tests.bench import processes
from tests.bench.report import Figure
from tests.stress.gateway import Gateway, Scrape
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import UNPACED, Stage
from tests.support.issuer import Issuer

LARGEST = 1.0
"""MiB of a scrape."""
GROWTH = 2.0
"""Per cent after the first tenth: label sets that are rare come late; their number is bounded."""
_CONNECTIONS = 16
_JOB_SERIES = 20
"""Jobs that are shown by name, so that this bound is tried as well."""
_SETTINGS = {**UNPACED, "METRICS__JOB_SERIES": str(_JOB_SERIES), "JOBS__WRITES_ONCE": "false"}
_MIB = 1 << 20


async def run(stage: Stage) -> Outcome:
    """Ten parts; the series are counted after each."""
    part = round(stage.pick(10_000, 304))
    answers: dict[str, int] = {}
    scrapes: list[Scrape] = []
    async with (
        Issuer() as issuer,
        stage.upstream() as upstream,
        stage.collector() as collector,
        stage.gateway(upstream, issuer, collector, settings=_SETTINGS) as gateway,
    ):
        base = processes.resident(gateway.pid)
        for number in range(10):
            stage.say(f"{part * number:,} requests so far")
            for answer, count in (await _part(stage, gateway, part, number)).items():
                answers[answer] = answers.get(answer, 0) + count
            scrapes.append(await gateway.scrape())
        grown = processes.resident(gateway.pid) - base
        counted = scrapes[-1].total("http_server_request_duration_seconds_count")
    return _outcome(scrapes, answers, grown, counted, part * 10)


async def _part(stage: Stage, gateway: Gateway, count: int, seed: int) -> dict[str, int]:
    arguments = (str(gateway.data), str(count), str(seed), str(_CONNECTIONS))
    async with stage.running("tests.stress.variety", *arguments) as process:
        printed, _ = await process.communicate()
    found: dict[str, int] = json.loads(printed)
    return found


def _outcome(
    scrapes: list[Scrape], answers: dict[str, int], grown: float, counted: float, wanted: int
) -> Outcome:
    counts = [each.series for each in scrapes]
    largest = max(len(each.text) for each in scrapes) / _MIB
    by_hundred: dict[str, int] = {}
    for answer, count in answers.items():
        kind = f"{answer[0]}xx" if answer.isdigit() else answer
        by_hundred[kind] = by_hundred.get(kind, 0) + count
    told = ", ".join(f"{count:,} x {kind}" for kind, count in sorted(by_hundred.items()))
    done = sum(answers.values())
    more = (counts[-1] / counts[0] - 1) * 100
    series = f"{counts[0]:,} then, {counts[-1]:,} at the end"
    return Outcome(
        promises=[
            none("requests without an answer", answers.get("none", 0), f"{done:,}: {told}"),
            none("bugs of the gateway's", scrapes[-1].errors().get("GatewayInternal", 0)),
            Figure("a scrape at its largest", largest, "MiB", LARGEST),
        ],
        measures=[
            Figure("series more than after the first tenth", more, "%", GROWTH, "at most", note=series),
            Figure("requests that the gateway counted", counted, "", wanted * 0.95, "at least"),
            Figure("memory over that before", grown, "MiB"),
        ],
    )


ROW = Row(
    "cardinality",
    "100,000 requests with random methods, paths, ids, upstream statuses and codes",
    "series count constant (2 %) after the first 10,000; scrape below 1 MiB",
    seconds=130,
    quick_seconds=20,
    run=run,
)
