"""What the app of the demo does, and what must be seen for the demo to have gone as it should.

The app is a plain httpx client. It has no credential: the gateway adds the token. It polls more often than
the upstream allows: the gateway keeps the limit. One job nobody polls: the gateway follows it.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.emulator import sample
from gateway.listeners import Addresses

_API = {"api-version": "2023-10-31"}
_PACE = 0.2
"""Seconds between two polls; the upstream allows one request per second."""
_PATIENCE = 60.0
"""Seconds after which a job is held to be stuck."""
_ENDED = frozenset({"succeeded", "failed", "cancelled"})


class DemoFailed(Exception):
    """Something was not as it should be; the message says what."""


@dataclass(slots=True)
class Scenario:
    """One run of the main job."""

    console: Console
    azure: str
    """Base URL of the emulator."""
    addresses: Addresses
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))

    async def run(self) -> None:
        """Import, delete, fail, err; raises DemoFailed."""
        async with httpx.AsyncClient(base_url=self.addresses.data, trust_env=False, timeout=10) as app:
            await self._upload("campus.ndjson")
            await self._upload("broken-model.ndjson")
            self.console.print("\n[bold]1. An import job[/], created and polled without any credential")
            await self._import(app, "campus", expected="succeeded")
            await self._count_twins(app, expect=lambda count: count > 0)
            self.console.print("\n[bold]2. A deletion job[/], followed through its Operation-Location")
            await self._delete(app)
            await self._count_twins(app, expect=lambda count: count == 0)
            self.console.print(
                "\n[bold]3. A job that fails[/], and that nobody polls: the gateway follows it"
            )
            await self._create(app, "broken-model")
            await self._watch("broken-model-import", "failed", "DTDLParsingError")
            self.console.print("\n[bold]4. An error[/], in the shape every error has here")
            await self._error(app)
            self.console.print("\n[bold]5. What was seen[/]")
            await self._look_at_metrics()
            await self._look_at_upstream()

    async def _upload(self, name: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as storage:
            put = await storage.put(f"{self.azure}/blob/demo/{name}", content=sample(name))
        self._require(put.is_success, f"the sample {name} was not stored")

    async def _import(self, app: httpx.AsyncClient, name: str, *, expected: str) -> None:
        await self._follow(app, await self._create(app, name), expected)

    async def _create(self, app: httpx.AsyncClient, name: str) -> str:
        blob = f"{self.azure}/blob/demo/{name}"
        path = f"/jobs/imports/{name}-import"
        body = {"inputBlobUri": f"{blob}.ndjson", "outputBlobUri": f"{blob}.log"}
        created = await self._call(app, "PUT", path, json=body)
        self._require(created.status_code == httpx.codes.CREATED, f"PUT {path}: {created.text}")
        return path

    async def _watch(self, job_id: str, expected: str, code: str) -> None:
        """Wait for what the gateway says of a job; this asks the upstream nothing."""
        async with (
            httpx.AsyncClient(base_url=self.addresses.admin, trust_env=False) as operator,
            asyncio.timeout(_PATIENCE),
        ):
            with self._progress() as progress:
                shown = progress.add_task(f"/api/jobs/import/{job_id}", total=None)
                while True:
                    job = (await operator.get(f"/api/jobs/import/{job_id}")).raise_for_status().json()
                    progress.update(shown, description=f"/api/jobs/import/{job_id}: {job['status']}")
                    if job["status"] in _ENDED:
                        break
                    await asyncio.sleep(_PACE)
                progress.update(shown, total=1, completed=1)
        ended = (job["status"], job["errorCode"])
        self._require(ended == (expected, code), f"{job_id} is {ended}, not {expected} with {code}")
        self._require(job["traceId"] == self.trace_id, "the job is not in the app's trace")
        self.console.print(f"     {job['errorCode']}, seen in {job['sightings']} answers, in the app's trace")

    async def _delete(self, app: httpx.AsyncClient) -> None:
        created = await self._call(app, "POST", "/jobs/deletions")
        self._require(created.status_code == httpx.codes.ACCEPTED, f"POST /jobs/deletions: {created.text}")
        link = created.headers["operation-location"]
        self._require(link.startswith(self.addresses.data), f"{link} leads past the gateway")
        await self._follow(app, httpx.URL(link).path, "succeeded")

    def _progress(self) -> Progress:
        columns = (SpinnerColumn(), TextColumn("   {task.description}"), TimeElapsedColumn())
        return Progress(*columns, console=self.console)

    async def _follow(self, app: httpx.AsyncClient, path: str, expected: str) -> None:
        with self._progress() as progress:
            shown = progress.add_task(f"GET {path}", total=None)
            async with asyncio.timeout(_PATIENCE):
                while True:
                    polled = await self._call(app, "GET", path)
                    self._require(polled.is_success, f"GET {path}: {polled.status_code} {polled.text}")
                    job: dict[str, Any] = polled.json()
                    progress.update(shown, description=f"{path}: {job['status']}")
                    if job["status"] in _ENDED:
                        break
            progress.update(shown, total=1, completed=1)
        self._require(job["status"] == expected, f"{path} is {job['status']}, not {expected}")

    async def _count_twins(self, app: httpx.AsyncClient, expect: Callable[[int], bool]) -> None:
        query = {"query": "SELECT COUNT() FROM digitaltwins"}
        answer = await app.post("/query", params=_API, json=query, headers=self._trace())
        self._require(answer.is_success, f"POST /query: {answer.text}")
        count = answer.json()["value"][0]["COUNT"]
        self._require(expect(count), f"there are {count} twins")
        self.console.print(f"     twins in the graph: {count}")

    async def _error(self, app: httpx.AsyncClient) -> None:
        path = "/jobs/imports/no-such-job"
        answer = await self._call(app, "GET", path)
        code = answer.headers.get("x-ms-error-code")
        shaped = answer.json().get("error", {}).get("code") == code == "ImportJobNotFound"
        self._require(answer.status_code == httpx.codes.NOT_FOUND and shaped, f"GET {path}: {answer.text}")
        self.console.print(f"     GET {path} → {answer.status_code}, x-ms-error-code: {code}")
        self.console.print(f"     {answer.text}", markup=False)

    async def _look_at_metrics(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as prometheus:
            metrics = (await prometheus.get(f"{self.addresses.admin}/metrics")).text
        wanted = [
            'adt_jobs_finished_total{error_code="",kind="import",status="succeeded"} 1.0',
            'adt_jobs_finished_total{error_code="DTDLParsingError",kind="import",status="failed"} 1.0',
            'adt_jobs_finished_total{error_code="",kind="deletion",status="succeeded"} 1.0',
        ]
        for line in wanted:
            self._require(line in metrics, f"/metrics has no {line}")
            self.console.print(f"     {line}", markup=False)
        for line in metrics.splitlines():
            if line.startswith("adt_jobs_reads_total") and not line.endswith(" 0.0"):
                self.console.print(f"     {line}", markup=False)

    async def _look_at_upstream(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            arrived = (await client.get(f"{self.azure}/_emulator/requests")).json()["requests"]
        jobs = [dict(request["headers"]) for request in arrived if request["target"].startswith("/jobs/")]
        self._require(len(jobs) > 0, "no jobs request arrived")
        tokens = {headers.get("authorization", "").partition(" ")[0] for headers in jobs}
        traces = {headers.get("traceparent", "")[3:35] for headers in jobs}
        self._require(tokens == {"Bearer"}, "a request arrived without the gateway's token")
        refused = [
            request["target"] for request in arrived if request["status"] == httpx.codes.TOO_MANY_REQUESTS
        ]
        self._require(not refused, f"the upstream's limit was exceeded: {refused}")
        self._require(self.trace_id in traces, "the trace was not continued")
        self.console.print(
            f"     {len(jobs)} jobs requests arrived, all with the gateway's token, none too early"
        )
        self.console.print(f"     the app's trace: {self.trace_id}")

    async def _call(self, app: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
        await asyncio.sleep(_PACE)
        return await app.request(method, path, params=_API, headers=self._trace(), **more)

    def _trace(self) -> dict[str, str]:
        return {"traceparent": f"00-{self.trace_id}-{secrets.token_hex(8)}-01"}

    @staticmethod
    def _require(holds: bool, complaint: str) -> None:
        if not holds:
            raise DemoFailed(complaint)
