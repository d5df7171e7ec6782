"""A gateway as a process that is killed and started again, in front of an emulator that stays."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.emulator import RunningEmulator, running_emulator, sample
from gateway.emulator.clock import utc_now
from gateway.emulator.faults import Fault
from gateway.emulator.journal import Entry
from tests.support.azure import TOKEN_ROUTE, auth_for, fast, http_client
from tests.support.process import GUARD, Serving, serving

JOB_SECONDS = 60.0


@dataclass(slots=True)
class Clock:
    """The service's clock, which can be put forward: its jobs end when the test says so."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass(frozen=True, slots=True)
class Site:
    """An emulator whose jobs run until `finish_jobs`, and what a gateway in front of it needs to know."""

    cloud: RunningEmulator
    clock: Clock
    store: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def gateway(self, **more: str) -> AsyncIterator[Serving]:
        """`serve` with a store in a file, unpaced; `more` are settings by section and key."""
        oauth2 = auth_for(self.cloud.url, self.cloud.emulator.state.settings)["oauth2"]
        own = {
            "upstream__base_url": self.cloud.url,
            "auth__mode": "oauth2",
            **{f"auth__oauth2__{key}": value for key, value in oauth2.items()},
            "jobs__store": f"sqlite://{self.store}",
            "jobs__rate": "0",
            "limits__drain_delay": "0",
            **more,
        }
        named = {f"ADT_GATEWAY_{key.upper()}": value for key, value in own.items()}
        async with serving({**named, **self.environ}) as running:
            yield running

    @property
    def arrived(self) -> list[Entry]:
        """The requests of the data plane, in order: all but those for tokens."""
        entries = self.cloud.emulator.state.journal.entries
        return [entry for entry in entries if entry.route != TOKEN_ROUTE]

    async def arrival(self) -> None:
        """Wait until a request of the data plane has arrived."""
        async with http_client(self.cloud.url) as client, asyncio.timeout(GUARD):
            while not self.arrived:
                await client.get("/_emulator/settings")

    def wrong(self, **fault: Any) -> None:
        """Let requests go wrong, see `gateway.emulator.faults.Fault`."""
        self.cloud.emulator.state.faults.add(Fault(**fault))

    def free(self) -> None:
        """No job stands in the way of another."""
        self.cloud.emulator.state.jobs.active = None

    def finish_jobs(self) -> None:
        """All jobs have come to their end by the service's clock."""
        self.clock.ahead += timedelta(seconds=JOB_SECONDS + 1)

    def written(self) -> bytes:
        """All that the store has on disk."""
        files = sorted(self.store.parent.glob(self.store.name + "*"))
        return b"".join(path.read_bytes() for path in files)


@asynccontextmanager
async def running_site(store: Path, environ: Mapping[str, str] | None = None) -> AsyncIterator[Site]:
    """An emulator until the block ends; `environ` is for each gateway."""
    clock = Clock()
    async with running_emulator(fast(job_seconds=JOB_SECONDS), clock=clock) as cloud:
        for name in ("campus.ndjson", "broken-model.ndjson"):
            cloud.emulator.state.blobs.put(f"samples/{name}", sample(name))
        yield Site(cloud, clock, store, environ or {})


def app_of(gateway: Serving) -> httpx.AsyncClient:
    """A client of the data listener."""
    return http_client(gateway.data)


async def metric(gateway: Serving, name: str, **labels: str) -> float | None:
    """The value of the first sample with that name and these labels; None where there is none."""
    wanted = {f'{key}="{value}"' for key, value in labels.items()}
    async with http_client(gateway.admin, params={}) as operator:
        scraped = (await operator.get("/metrics")).raise_for_status().text
    for line in scraped.splitlines():
        series, _, value = line.rpartition(" ")
        shown = series.partition("{")
        if shown[0] == name and wanted <= set(shown[2].removesuffix("}").split(",")):
            return float(value)
    return None
