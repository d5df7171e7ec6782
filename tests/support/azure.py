"""A gateway in front of the emulator, in oauth2 mode with the emulator's own token issuer.

async with running_azure() as azure, azure.app() as app:
    answer = await app.get("/jobs/imports")
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.emulator import EmulatorSettings, RunningEmulator, running_emulator, sample
from gateway.emulator.faults import Fault
from gateway.emulator.journal import Entry
from tests.support.gateway import RunningGateway, merged, running_gateway

VERSION = "2023-10-31"
TOKEN_ROUTE = "POST /{tenant}/oauth2/v2.0/token"
JOB_SECONDS = 0.05


def fast(**changes: Any) -> EmulatorSettings:
    """An emulator that verifies tokens, has no rate, and whose jobs take 50 ms."""
    quick: dict[str, Any] = {
        "rate_limit": None,
        "job_start_seconds": 0,
        "job_seconds": JOB_SECONDS,
        "cancel_seconds": 0,
        "retry_after": None,
        "journal_size": 5_000,
    }
    return EmulatorSettings(**{**quick, **changes})


@dataclass(frozen=True, slots=True)
class Azure:
    """Both sides of a gateway: what the app reaches, and what arrived behind it."""

    gateway: RunningGateway
    cloud: RunningEmulator

    def app(self, **options: Any) -> httpx.AsyncClient:
        """A client of the gateway, without a credential."""
        return http_client(self.gateway.data, **options)

    def operator(self) -> httpx.AsyncClient:
        """A client of the admin listener."""
        return http_client(self.gateway.admin, params={})

    @property
    def token_requests(self) -> int:
        """How often the gateway asked for a token."""
        return self.cloud.emulator.state.journal.counts.get(TOKEN_ROUTE, 0)

    @property
    def arrived(self) -> list[Entry]:
        """The requests of the data plane, in order: all but those for tokens."""
        return [entry for entry in self.cloud.emulator.state.journal.entries if entry.route != TOKEN_ROUTE]

    def wrong(self, **fault: Any) -> int:
        """Let requests go wrong, see `gateway.emulator.faults.Fault`; returns the fault's number."""
        return self.cloud.emulator.state.faults.add(Fault(**fault)).number

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.cloud.emulator.state.faults.clear()

    def change(self, **settings: Any) -> None:
        """Change the emulator's settings from now on, as `POST /_emulator/settings` does."""
        state = self.cloud.emulator.state
        state.settings = state.settings.changed(settings)

    def import_body(self, name: str = "campus.ndjson", sas: str = "") -> dict[str, str]:
        """The body of an import of a sample that ships with the package; `sas` is a query."""
        blob = f"{self.cloud.url}/blob/samples/{name}"
        return {"inputBlobUri": f"{blob}{sas}", "outputBlobUri": f"{blob}.log{sas}"}

    async def metrics(self, accept: str = "") -> str:
        """What a scrape gets."""
        async with self.operator() as operator:
            answer = await operator.get("/metrics", headers={"accept": accept})
        return answer.raise_for_status().text


def http_client(base_url: str, **options: Any) -> httpx.AsyncClient:
    """A plain client that sends api-version with everything.

    Its TLS context holds no CA, since nothing here is https: loading them is most of what a client costs.
    """
    defaults = {
        "params": {"api-version": VERSION},
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        "trust_env": False,
        "timeout": 30,
        "limits": httpx.Limits(max_connections=None),
    }
    return httpx.AsyncClient(base_url=base_url, **{**defaults, **options})


def auth_for(cloud_url: str, settings: EmulatorSettings) -> dict[str, Any]:
    """The `auth` section of a gateway that gets its tokens from an emulator with these settings."""
    return {
        "mode": "oauth2",
        "oauth2": {
            "token_url": f"{cloud_url}/{settings.tenant}/oauth2/v2.0/token",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
        },
    }


@asynccontextmanager
async def running_azure(
    settings: EmulatorSettings | None = None, environ: Mapping[str, str] | None = None, **sections: Any
) -> AsyncIterator[Azure]:
    """Both, until the block ends, with the samples uploaded; `sections` are the gateway's settings."""
    settings = settings or fast()
    async with running_emulator(settings) as cloud:
        for name in ("campus.ndjson", "broken-model.ndjson"):
            cloud.emulator.state.blobs.put(f"samples/{name}", sample(name))
        async with gateway_to(cloud, environ, **sections) as gateway:
            yield Azure(gateway, cloud)


@asynccontextmanager
async def gateway_to(
    cloud: RunningEmulator, environ: Mapping[str, str] | None = None, **sections: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway in front of an emulator that runs already."""
    auth = {"auth": auth_for(cloud.url, cloud.emulator.state.settings)}
    async with running_gateway(cloud.url, environ, **merged(auth, sections)) as gateway:
        yield gateway
