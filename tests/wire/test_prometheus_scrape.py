"""A real Prometheus scrapes a gateway under traffic: target, rules, exemplars, and what dashboards ask.

Configuration and rules are the deployed ones, with every duration divided by 60, so that long windows and
slow groups come to their turn.
"""

import math
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from tests.support.azure import Azure, running_azure
from tests.support.dashboards import expressions
from tests.support.job_traces import OTHER, TRACE, within
from tests.support.operation import SECTIONS, SETTINGS, a_day, at_work
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.prometheus import DEPLOYED, JOB, Prometheus, running_prometheus, variables
from tests.support.promql import without_variables
from tests.support.redis_server import RedisServer, redis_server

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.visited("apps are at work and Prometheus scrapes while each test asks"),
]

RULES = sorted((DEPLOYED / "rules").glob("*.yml"))
DEFINED = [
    rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
]
NAMES = sorted(rule.get("alert") or rule["record"] for rule in DEFINED)
RECORDED = [rule["record"] for rule in DEFINED if "record" in rule]
ASKED = expressions()
STEP = 0.5
"""Seconds between two points of a panel; the last is now."""
COUNTED = {
    "Failed jobs": 1,
    "Refused: 401 or 403": 1,
    "Could not be sent or answered": 1,
    "Failed token requests": 0,
    "Requests without a token": 0,
}
"""What panels count of `a_day`."""
EXEMPLARS = [
    "http_server_request_duration_seconds_bucket",
    "http_client_request_duration_seconds_bucket",
    "adt_gateway_error_responses_total",
    "adt_jobs_finished_total",
    "adt_job_duration_seconds_bucket",
]


@dataclass(frozen=True, slots=True)
class Watched:
    """A gateway at work, who gets its spans, and who scrapes it."""

    azure: Azure
    receiver: OtlpReceiver
    prometheus: Prometheus
    started: float


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The store of a fleet of one."""
    with redis_server(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory, store: RedisServer) -> AsyncIterator[Watched]:
    """All of it after a day's work, and still at work."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    at_once = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with (
        otlp_receiver() as receiver,
        running_azure(
            SETTINGS,
            at_once,
            tracing={"endpoint": receiver.url},
            fleet={"url": store.url, "expected_size": 2},
            **SECTIONS,
        ) as azure,
        running_prometheus(folder, {"site": azure.gateway.admin}, factor=60) as prometheus,
        at_work(azure),
    ):
        await prometheus.until_scraped()
        started = time.time()
        await a_day(azure)
        await prometheus.until_scraped()
        yield Watched(azure, receiver, prometheus, started)


async def test_the_gateway_is_scraped(watched: Watched) -> None:
    """The one target is up, without an error, and answers in OpenMetrics."""
    prometheus = watched.prometheus
    [target] = await prometheus.until(prometheus.targets, lambda found: found[0]["health"] == "up")
    assert target["lastError"] == ""
    assert target["scrapeUrl"] == f"{watched.azure.gateway.admin}/metrics"
    assert target["labels"]["job"] == JOB
    assert await prometheus.metadata("adt_gateway_build") == {"info"}


async def test_every_rule_is_healthy(watched: Watched) -> None:
    """Each rule is loaded and evaluated, without an error."""
    rules = await watched.prometheus.until(
        watched.prometheus.rules, lambda found: all(rule["health"] != "unknown" for rule in found)
    )
    assert sorted(rule["name"] for rule in rules) == NAMES
    assert [rule for rule in rules if rule["health"] != "ok" or rule.get("lastError")] == []


async def test_the_rule_files_load_as_they_are(tmp_path: Path) -> None:
    """Prometheus takes the files byte by byte, and has each rule of them."""
    async with running_prometheus(tmp_path, {}) as prometheus:
        rules = await prometheus.rules()
    assert sorted(rule["name"] for rule in rules) == NAMES
    assert not any(rule.get("lastError") for rule in rules)
    for path in RULES:
        assert (tmp_path / "rules" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", RECORDED)
async def test_every_recording_rule_has_data(watched: Watched, name: str) -> None:
    """After traffic each recorded series exists and has a number."""
    await watched.prometheus.until_series(name, math.isfinite)


@pytest.mark.parametrize("metric", EXEMPLARS)
async def test_an_exemplar_leads_to_a_trace(watched: Watched, metric: str) -> None:
    """Each exemplar that Prometheus kept names a trace of which the OTLP receiver got spans."""
    exemplars = await watched.prometheus.until(
        lambda: watched.prometheus.exemplars(metric, watched.started), bool
    )
    wanted = {exemplar.labels["trace_id"] for exemplar in exemplars}
    await watched.receiver.wait_for(lambda got: wanted <= {span.trace_id for span in got.spans})
    assert all(set(exemplar.labels) == {"trace_id"} for exemplar in exemplars)


async def test_a_failed_job_s_exemplar_leads_to_its_creation(watched: Watched) -> None:
    """From the alert's series an operator gets to the trace in which the job was created, and its span."""
    failed = 'adt_jobs_finished_total{status="failed"}'
    exemplars = await watched.prometheus.until(
        lambda: watched.prometheus.exemplars(failed, watched.started), bool
    )
    assert {exemplar.labels["trace_id"] for exemplar in exemplars} == {TRACE}
    assert exemplars[0].series["error_code"] == "DTDLParsingError"
    await watched.receiver.wait_for(
        lambda got: any(span.name == "import job" and span.status == "ERROR" for span in got.spans)
    )
    spans = [span for span in watched.receiver.spans if span.name == "import job" and span.status == "ERROR"]
    assert [span.trace_id for span in spans] == [TRACE]


async def test_an_error_s_exemplar_is_its_request(watched: Watched) -> None:
    """The exemplar at an error's code names the very request that met it."""
    async with watched.azure.app() as app:
        await app.get("/jobs/deletions/none", headers=within(OTHER))
    met = 'adt_gateway_error_responses_total{error_code="DeleteJobNotFound"}'
    [exemplar] = await watched.prometheus.until(
        lambda: watched.prometheus.exemplars(met, watched.started), bool
    )
    assert exemplar.labels == {"trace_id": OTHER}
    await watched.receiver.wait_for(lambda got: any(span.trace_id == OTHER for span in got.spans))


@pytest.mark.parametrize(
    ("uid", "title", "expression"),
    ASKED,
    ids=[f"{number}-{uid}-{title}" for number, (uid, title, _) in enumerate(ASKED)],
)
async def test_every_panel_has_data(watched: Watched, uid: str, title: str, expression: str) -> None:
    """After a day's work each expression of each dashboard has a number to show."""
    now = time.time()
    asked = without_variables(expression, variables(now - watched.started))
    steps = (now - watched.started) // STEP
    shown = await watched.prometheus.query_range(asked, now - steps * STEP, now, STEP)
    assert any(math.isfinite(value) for series in shown for _, value in series.points), shown


@pytest.mark.parametrize(("title", "value"), COUNTED.items())
async def test_panels_count_what_was(watched: Watched, title: str, value: float) -> None:
    """Over the time range, a panel that counts events shows their number, the first of each kind included."""
    [expression] = {expression for _, named, expression in ASKED if named == title}
    asked = without_variables(expression, variables(time.time() - watched.started))
    [series] = await watched.prometheus.query(asked)
    assert series.value == value
