"""An operator's rehearsal: a gateway is stopped under traffic while a job runs, and started again."""

import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.azure import http_client
from tests.support.dashboards import expressions
from tests.support.job_traces import TRACE, within
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.process import Serving
from tests.support.prometheus import Prometheus, Series, running_prometheus, variables
from tests.support.promql import without_variables
from tests.support.rehearsal import Crew, arrivals, crew, with_models
from tests.support.restarts import Site, app_of, running_site
from tests.support.wire import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.visited("Prometheus scrapes when it likes"),
]

APPS = ("campus", "lifts", "doors", "lights")
JOB = "moved-in"
ENOUGH = 40
"""Requests of each app before the stop, and after the start."""
STEP = 0.25
"""Seconds between two points of a panel, and between two scrapes."""
SCRAPES = 8
"""At least so many before the stop, and after the job's end."""
CONTENT = "1s"
"""Prometheus knows a gateway again after scrapes that succeeded for so long."""
LOOKS = 5
"""Times that readiness and service are looked at while it drains."""
SHOWN = sorted({expression for _, _, expression in expressions()})
ONLY_EVENTS = "> 0"
"""In the expressions of panels that show nothing where nothing happened."""
SETTINGS = {"limits__drain_delay": "2", "metrics__job_series": "10"}


@dataclass(slots=True)
class Rehearsal:
    """What was seen, from the first start to the last stop."""

    site: Site
    receiver: OtlpReceiver
    prometheus: Prometheus
    crew: Crew
    runs: list[Serving]
    started: float
    drained: list[tuple[int, int]] = field(default_factory=list)
    """While draining: what /readyz said, and what a request got over a connection of its own."""
    ended: float = 0.0

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """The log lines of both runs that tell an exchange."""
        return [line for run in self.runs for line in run.lines if line.get("event") == "exchange"]

    async def shown(self, expression: str) -> list[Series]:
        """The expression over the whole time, every `STEP` seconds."""
        return await self.prometheus.query_range(expression, self.started, self.ended, STEP)

    async def labelled(self, which: Callable[[set[float]], float]) -> set[frozenset[tuple[str, str]]]:
        """The gateway's series at one of the good steps, without those that a route's first request makes."""
        everything = '{__name__=~"adt_.+", http_route=""}'
        found = await self.prometheus.query(everything, at=which(await self.good()))
        return {frozenset(series.labels.items()) for series in found}

    async def good(self) -> set[float]:
        """The steps at which Prometheus is content: the last scrapes have succeeded."""
        [least] = await self.shown(f"min_over_time(up[{CONTENT}])")
        return {moment for moment, value in least.points if value == 1}


async def drains(gateway: Serving, told: list[tuple[int, int]]) -> None:
    """Look at the gateway until it has said for some time that it is not ready."""
    async with http_client(gateway.admin, params={}) as operator:

        async def not_ready() -> bool:
            ready = (await operator.get("/readyz")).status_code
            async with app_of(gateway) as fresh:
                told.append((ready, (await fresh.get("/models")).status_code))
            return told.count((503, 200)) >= LOOKS

        await until(not_ready)


async def enough(crew: Crew) -> None:
    """Wait until each app got as many answers again."""
    wanted = crew.least() + ENOUGH

    async def had() -> bool:
        return crew.least() >= wanted

    await until(had)


@asynccontextmanager
async def watched_site(folder: Path) -> AsyncIterator[tuple[Site, OtlpReceiver]]:
    """A service whose jobs the test ends, and a receiver of each gateway's spans."""
    async with otlp_receiver() as receiver:
        environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        async with running_site(folder / "jobs.db", environ) as site:
            yield site, receiver


async def start_job(site: Site, gateway: Serving) -> None:
    """Create the import in the first trace."""
    body = dict.fromkeys(("inputBlobUri", "outputBlobUri"), f"{site.cloud.url}/blob/samples/campus.ndjson")
    async with app_of(gateway) as app:
        assert (await app.put(f"/jobs/imports/{JOB}", json=body, headers=within())).status_code == 201


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rehearsal]:
    """Start, traffic and a job, SIGTERM during traffic, start again on the same ports, the job's end."""
    folder: Path = tmp_path_factory.mktemp("rehearsal")
    async with watched_site(folder) as (site, receiver), site.gateway(**SETTINGS) as first:
        await with_models(first.data)
        await start_job(site, first)
        ports = {"listen__port": first.data, "admin__port": first.admin}
        again = {**SETTINGS, **{key: url.rpartition(":")[2] for key, url in ports.items()}}
        async with (
            running_prometheus(folder, {"site": first.admin}) as prometheus,
            crew(first.data, JOB, APPS) as apps,
        ):
            await prometheus.until_scraped()
            seen = Rehearsal(site, receiver, prometheus, apps, [first], time.time())
            await enough(apps)
            await prometheus.until_scraped(SCRAPES)
            first.send_signal(signal.SIGTERM)
            await drains(first, seen.drained)
            assert await first.ended() == 0
            async with site.gateway(**again) as second:
                seen.runs.append(second)
                await enough(apps)
                site.finish_jobs()
                await prometheus.until_series("sum(adt_jobs_finished_total)", lambda count: count == 1)
                await prometheus.until_scraped(SCRAPES)
                await apps.finish()
                seen.ended = time.time()
                second.send_signal(signal.SIGTERM)
                assert await second.ended() == 0
            yield seen


async def test_every_request_is_answered_once(rehearsal: Rehearsal) -> None:
    """Each app got a success for each request; each write arrived at the service once, none twice."""
    twins, messages = arrivals(rehearsal.site.arrived)
    apps = rehearsal.crew.apps
    assert {name: twins[name] for app in apps for name in app.twins} == {
        name: 1 for app in apps for name in app.twins
    }
    assert messages == {name: 1 for app in apps for name in app.messages}
    assert twins.total() == messages.total() + len([JOB])
    assert all(len(app.twins) == len(app.messages) == app.read == len(app.job) for app in apps)


async def test_the_log_is_whole(rehearsal: Rehearsal) -> None:
    """A line for each answer, a span for each line; nothing failed but what came too late to a gateway."""
    lines = rehearsal.exchanges
    outcomes = Counter((line["status"], line.get("error_code")) for line in lines)
    assert set(outcomes) <= {(200, None), (201, None), (204, None), (503, "GatewayDraining")}
    told = Counter(
        line["x_ms_client_request_id"]
        for line in lines
        if line["status"] < 400 and "x_ms_client_request_id" in line
    )
    assert set(told.values()) == {1}
    assert told.total() == rehearsal.crew.answered + len(["the models, before the apps came"])
    assert not any(line["level"] in {"error", "critical"} for run in rehearsal.runs for line in run.lines)
    spans = {span.span_id for span in rehearsal.receiver.spans if span.kind == "SERVER"}
    assert {line["span_id"] for line in lines} == spans


async def test_it_drains_before_it_ends(rehearsal: Rehearsal) -> None:
    """After SIGTERM it says that it is not ready, and serves whoever comes, over new connections too."""
    assert rehearsal.drained[-1][0] == 503
    assert {status for _, status in rehearsal.drained} == {200}


async def test_the_job_is_told_once(rehearsal: Rehearsal) -> None:
    """The apps saw it run and succeed, in this order; its one span is in the trace that created it."""
    for app in rehearsal.crew.apps:
        assert app.job == sorted(app.job)
        assert set(app.job) == {"running", "succeeded"}
    await rehearsal.receiver.wait_for(lambda got: any(span.name == "import job" for span in got.spans))
    [job] = [span for span in rehearsal.receiver.spans if span.name == "import job"]
    creation = rehearsal.receiver.named("PUT /jobs/imports/{id}", "SERVER")
    assert (job.trace_id, job.parent_id) == (TRACE, creation.span_id)
    [finished] = await rehearsal.shown("sum(adt_jobs_finished_total)")
    counts = [value for _, value in finished.points]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1}


async def test_the_series_go_on(rehearsal: Rehearsal) -> None:
    """What Prometheus has is one gateway that was started again, and knew its job at once."""
    since = f"{rehearsal.ended - rehearsal.started:.0f}s"
    written = 'http_route="/digitaltwins/{id}", http_request_method="PUT"'
    for expression in (
        f"changes(process_start_time_seconds[{since}])",
        f"max(resets(http_server_request_duration_seconds_count{{{written}}}[{since}]))",
        f"count(max_over_time(adt_gateway_build_info[{since}]))",
        f"count(max_over_time(adt_job_info[{since}]))",
        f"min_over_time(sum(adt_jobs)[{since}:])",
        f"max_over_time(sum(adt_jobs)[{since}:])",
    ):
        found = await rehearsal.prometheus.query(expression, at=rehearsal.ended)
        assert [series.value for series in found] == [1], expression
    before, after = await rehearsal.labelled(min), await rehearsal.labelled(max)
    assert before <= after


@pytest.mark.parametrize("expression", SHOWN, ids=map(str, range(len(SHOWN))))
async def test_every_panel_goes_on(rehearsal: Rehearsal, expression: str) -> None:
    """A panel that had data has it again at each moment before which scrapes succeeded; none is below 0."""
    values = variables(rehearsal.ended - rehearsal.started)
    shown = await rehearsal.shown(without_variables(expression, values))
    assert not any(value < 0 for series in shown for _, value in series.points)
    present = {moment for series in shown for moment, _ in series.points}
    if present and ONLY_EVENTS not in expression:
        assert {moment for moment in await rehearsal.good() if moment >= min(present)} <= present
