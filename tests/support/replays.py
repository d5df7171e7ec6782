"""Job writes whose answers get lost, and apps that send them again as SDKs do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from gateway.emulator.journal import Entry
from tests.support.azure import Azure

REQUEST_ID = "x-ms-client-request-id"
REPLAYED = "x-gateway-replayed"
FIRST_BYTE = 0.3
"""Seconds for `upstream.timeout.first_byte`, so that an answer that does not come is soon missed."""
SAS = "?sv=2025-01-05&sig=canary%2Fsecret"

LOST: Mapping[str, dict[str, Any]] = {
    "cut": {"cut": "before-head"},
    "reset": {"cut": "reset"},
    "500": {"status": 500},
    "503": {"status": 503},
    "503 with Retry-After": {"status": 503, "headers": [("Retry-After", "0")]},
    "timeout": {"status": 500, "delay": 2.0},
}
"""Answers of the upstream's after which nobody knows what became of a write."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write of the Jobs API, as apps send it."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    """Besides `api-version`."""

    async def send(self, app: httpx.AsyncClient, request_id: str | None, **headers: str) -> httpx.Response:
        """Once."""
        named = {} if request_id is None else {REQUEST_ID: request_id}
        lines = {**self.headers, **named, **headers}
        return await app.request(
            self.method, self.path, headers=lines, json=self.body, params=dict(self.query)
        )

    async def persist(
        self, app: httpx.AsyncClient, request_id: str, *, sends: int = 4
    ) -> list[httpx.Response]:
        """Again with the same id after any 5xx, at most so often; all that came back."""
        answers: list[httpx.Response] = []
        while len(answers) < sends and (not answers or answers[-1].status_code >= 500):
            answers.append(await self.send(app, request_id))
        return answers

    def arrived(self, azure: Azure) -> list[Entry]:
        """The requests of this method and path that reached the emulator."""
        return [
            entry
            for entry in azure.arrived
            if entry.method == self.method and entry.target.partition("?")[0] == self.path
        ]


DELETE_ALL = Write("POST", "/jobs/deletions")
DELETE_ALL_NAMED = Write("POST", "/jobs/deletions", {"operation-id": "named"})
CANCEL = Write("POST", "/jobs/imports/there/cancel")
DELETE = Write("DELETE", "/jobs/imports/there")


def put_import(azure: Azure, job_id: str = "new", sas: str = "") -> Write:
    """The creation of an import."""
    return Write("PUT", f"/jobs/imports/{job_id}", body=azure.import_body(sas=sas))


async def an_import_of_old(azure: Azure, app: httpx.AsyncClient, job_id: str = "there") -> None:
    """An import that runs, and was created a minute ago by the service's own account."""
    (await put_import(azure, job_id).send(app, None)).raise_for_status()
    job = azure.cloud.emulator.state.jobs.imports[job_id]
    job.created -= timedelta(minutes=1)


def forget_jobs(azure: Azure) -> None:
    """The emulator has no job, no fault, and nothing has arrived."""
    state = azure.cloud.emulator.state
    state.jobs.imports.clear()
    state.jobs.deletions.clear()
    state.jobs.active = None
    state.journal.clear()
    azure.mend()


async def arrival(azure: Azure, write: Write, count: int = 1) -> None:
    """Wait until the emulator has got the write so often."""
    async with asyncio.timeout(15), azure.operator() as operator:
        while len(write.arrived(azure)) < count:
            await operator.get("/livez")
