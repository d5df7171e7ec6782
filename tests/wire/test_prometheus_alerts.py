"""Faults in real gateways, and the alerts that fire of them in a real Prometheus.

Each fault has a gateway of its own, all of them in one Prometheus, told apart by their namespaces. In it an
hour is two minutes: the rules are the deployed ones with every duration divided by 30.
AdtGatewayJobsNotSynced is not among them: it compares clocks, so it needs 5 min that pass.

On a busy machine a scrape may take a second or more. It may take an interval, 2 s, before it counts as no
answer, and only 10 s without any answer are the 5 min after which a gateway is taken for absent.
"""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.emulator import EmulatorSettings
from tests.support.azure import Azure, running_azure
from tests.support.foreign_jobs import created_elsewhere
from tests.support.gateway import merged
from tests.support.operation import SECTIONS, SETTINGS, at_work, import_job
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.process import Serving, serving
from tests.support.prometheus import Prometheus, running_prometheus

FACTOR = 30
PACE = 0.5
INTERVAL = "2s"
QUIET = 5
"""Scrapes before the faults: 4 min of the rules' time, in which nothing may fire."""
PATIENCE = 150
"""Seconds within which all alerts have to fire; AdtGatewayJobRunningLong alone waits for 30 s."""
TOKEN_SECONDS = 40
"""Twice the 20 s that AdtGatewayTokenExpiresSoon looks back, so that it fires before the token has ended."""
AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
ALONE = {"ADT_GATEWAY_UPSTREAM__BASE_URL": "http://127.0.0.1:9", "ADT_GATEWAY_AUTH__MODE": "none"}
"""The environment of a gateway that nobody uses."""

Fault = Callable[[Azure], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What goes wrong, in which gateway, and which alerts fire of it: these and no others."""

    fault: Fault
    fires: set[str]
    emulator: EmulatorSettings = SETTINGS
    sections: dict[str, Any] = field(default_factory=dict)


async def nothing(_: Azure) -> None:
    """All is well."""


async def job_fails(azure: Azure) -> None:
    """An import job fails, and nobody polls it."""
    async with azure.app() as app:
        await import_job(app, azure, "broken", "broken-model.ndjson")


async def job_for_seven_hours(azure: Azure) -> None:
    """Somebody else's import is unfinished since this morning, and an app's list shows it."""
    created_elsewhere(azure.cloud, "long")
    azure.cloud.emulator.state.jobs.imports["long"].created -= timedelta(hours=7)


async def job_in_the_way(azure: Azure) -> None:
    """An app wants a job again and again while another one runs."""
    async with azure.app() as app:
        await import_job(app, azure, "long")
        for number in range(8):
            refused = await app.put(f"/jobs/imports/{number}", json=azure.import_body())
            assert refused.headers["x-ms-error-code"] == "JobLimitReached"


async def upstream_fails(azure: Azure) -> None:
    """Every request to ADT gets 503."""
    azure.wrong(status=503, pattern="^/(models|eventroutes|jobs)", times=None)


async def upstream_refuses(azure: Azure) -> None:
    """The identity has lost its role."""
    azure.wrong(kind="empty-403", pattern="^/(models|eventroutes|jobs)", times=None)


async def upstream_throttles(azure: Azure) -> None:
    """Somebody else uses up the rate of the Jobs API."""
    azure.wrong(status=429, headers=[("Retry-After", "0")], path="/jobs", times=None)


async def issuer_fails(azure: Azure) -> None:
    """The token endpoint is down."""
    azure.wrong(status=503, pattern="/oauth2/v2.0/token", times=None)


async def log_breaks(azure: Azure) -> None:
    """There is nowhere to write the log to."""
    azure.gateway.log.close()


def store_vanishes(store: Path) -> Fault:
    """The store's volume is gone under the gateway, and a job is created."""

    async def fault(azure: Azure) -> None:
        shutil.rmtree(store.parent)
        async with azure.app() as app:
            await import_job(app, azure, "one")

    return fault


def spans_refused(receiver: OtlpReceiver) -> Fault:
    """The collector does not take what it is sent."""

    async def fault(_: Azure) -> None:
        receiver.status = 400

    return fault


def scenarios(store: Path, receiver: OtlpReceiver) -> dict[str, Scenario]:
    """By namespace."""
    unfinished = SETTINGS.changed({"job_seconds": 3_600.0})
    soon = SETTINGS.changed({"expires_in": TOKEN_SECONDS})
    burn, upstream = "AdtGatewayErrorBudgetBurn", "AdtGatewayUpstreamErrors"
    token = {"AdtGatewayTokenExpiresSoon", "AdtGatewayTokenUnavailable", burn}
    return {
        "healthy": Scenario(nothing, set()),
        "job-failed": Scenario(job_fails, {"AdtGatewayJobFailed"}),
        "job-running-long": Scenario(job_for_seven_hours, {"AdtGatewayJobRunningLong"}),
        "job-in-the-way": Scenario(job_in_the_way, {"AdtGatewayJobLimitReached"}, unfinished),
        "upstream-fails": Scenario(upstream_fails, {upstream, burn}),
        "upstream-is-left-alone": Scenario(
            upstream_fails,
            {upstream, burn, "AdtGatewayCircuitOpen"},
            # It opens once the failures outweigh what went well before: the others are sure to fire by then.
            sections={"upstream": {"circuit": {"failures": 5, "window": 3_600.0, "open_for": 1.0}}},
        ),
        "upstream-refuses": Scenario(upstream_refuses, {upstream}),
        "upstream-throttles": Scenario(upstream_throttles, {"AdtGatewayJobsThrottled"}),
        "issuer-fails": Scenario(issuer_fails, token, soon),
        "log-breaks": Scenario(log_breaks, {"AdtGatewayLogLinesDropped"}),
        "spans-refused": Scenario(
            spans_refused(receiver),
            {"AdtGatewaySpansDropped"},
            sections={"tracing": {"endpoint": receiver.url}},
        ),
        "store-vanishes": Scenario(
            store_vanishes(store),
            {"AdtGatewayJobsStoreDown"},
            sections={"jobs": {"store": f"sqlite://{store}"}},
        ),
    }


KILLED = "killed"
OF_THE_KILLED = {"AdtGatewayRestarting", "AdtGatewayAbsent"}


async def dies_again_and_again(running: Serving, prometheus: Prometheus) -> None:
    """It is killed three times and started each time, on the same ports; then it is killed for good."""
    ports = {
        f"ADT_GATEWAY_{name}__PORT": url.rpartition(":")[2]
        for name, url in (("LISTEN", running.data), ("ADMIN", running.admin))
    }
    starts = f'changes(process_start_time_seconds{{namespace="{KILLED}"}}[1d])'
    await killed(running)
    for count in (1, 2, 3):
        async with serving({**ALONE, **ports}) as again:
            await prometheus.until_series(f"{starts} >= {count}")
            await killed(again)


async def killed(running: Serving) -> None:
    running.send_signal(signal.SIGKILL)
    await running.ended()


@pytest.mark.slow
async def test_each_fault_fires_its_own_alerts(tmp_path: Path) -> None:
    """While all is well nothing fires; then each fault's alerts do, and no others."""
    async with AsyncExitStack() as opened:
        enter = opened.enter_async_context
        volume = tmp_path / "volume"
        volume.mkdir()
        cases = scenarios(volume / "jobs.db", await enter(otlp_receiver()))
        sites: dict[str, Azure] = {}
        for name, case in cases.items():
            sections = merged(SECTIONS, case.sections)
            sites[name] = await enter(running_azure(case.emulator, AT_ONCE, **sections))
            await enter(at_work(sites[name], PACE))
        alone = await enter(serving(ALONE))
        targets = {name: site.gateway.admin for name, site in sites.items()} | {KILLED: alone.admin}
        prometheus = await enter(running_prometheus(tmp_path, targets, factor=FACTOR, interval=INTERVAL))
        await prometheus.until_scraped(QUIET)
        assert await prometheus.fired() == {}
        expected = {name: case.fires for name, case in cases.items() if case.fires} | {KILLED: OF_THE_KILLED}
        await asyncio.gather(
            dies_again_and_again(alone, prometheus),
            *(case.fault(sites[name]) for name, case in cases.items()),
        )
        await prometheus.until(
            prometheus.fired,
            lambda seen: all(names <= seen[name] for name, names in expected.items()),
            within=PATIENCE,
        )
        assert await prometheus.fired() == expected
