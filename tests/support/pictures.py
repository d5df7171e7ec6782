"""The pictures of the documentation: `.venv/bin/python -m tests.support.pictures [MINUTES]`.

A real gateway in front of the emulator, an app that uses it for some minutes (ten fill the plots), and the
system's Chromium. The trace is drawn from the spans that a receiver got from the gateway's exporter.
"""

import asyncio
import random
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser

from tests.support.azure import Azure, fast, running_azure
from tests.support.browser import DESK, PHONE, chromium, visit
from tests.support.otlp import otlp_receiver
from tests.support.waterfall import waterfall

PICTURES = Path(__file__).parent.parent.parent / "docs" / "pictures"
TRACE_UI = "http://127.0.0.1:16686/trace/{trace_id}"
JOB_SECONDS = 24.0

LOOKS: dict[str, dict[str, Any]] = {
    "status-light": {"viewport": DESK, "color_scheme": "light"},
    "status-dark": {"viewport": DESK, "color_scheme": "dark"},
    "status-phone": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2},
}


@dataclass(slots=True)
class App:
    """An app at work until it is stopped; it repeats itself from picture to picture but for trace ids."""

    azure: Azure
    http: httpx.AsyncClient
    until: float
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - no secret

    async def reads(self) -> None:
        """Twins and queries, now more, now fewer; some are not there."""
        while True:
            swell = 1 + 0.6 * ((time.monotonic() // 10) % 7 / 7)
            await asyncio.sleep(self.chance.expovariate(6 * swell))
            if self.chance.random() < 0.25:
                query = {"query": "SELECT * FROM digitaltwins WHERE STARTSWITH($dtId, 'room')"}
                await self.http.post("/query", json=query, headers=called())
            else:
                name = "no-such-room" if self.chance.random() < 0.006 else "room-111"
                await self.http.get(f"/digitaltwins/{name}", headers=called())

    async def troubles(self) -> None:
        """ADT is slow, more so at times, and twice it fails for some seconds."""
        began = time.monotonic()
        while True:
            passed = (time.monotonic() - began) / (self.until - began)
            self.azure.mend()
            delay = round(self.chance.lognormvariate(-3.6 + 0.8 * (0.5 < passed < 0.7), 0.5), 3)
            often = self.chance.randint(4, 12)
            if 0.3 < passed < 0.32 or 0.6 < passed < 0.61:
                self.azure.wrong(pattern="digitaltwins|query", kind="html-502", times=often // 3)
            self.azure.wrong(pattern="digitaltwins|query", delay=delay, times=often)
            await asyncio.sleep(2)

    async def jobs(self) -> None:
        """One import after the other, as long as there is time for those that end the story."""
        number = 0
        while time.monotonic() < self.until - 3 * JOB_SECONDS:
            number += 1
            await self.job("PUT", f"/jobs/imports/nightly-campus-{number:02}", "campus.ndjson")
            await asyncio.sleep(self.chance.uniform(75, 120))

    async def job(self, method: str, path: str, blob: str | None = None) -> None:
        """Create a job once no other is in the way; nobody polls it, the gateway follows it to its end."""
        body = self.azure.import_body(blob) if blob else None
        await self.quiet()
        (await self.http.request(method, path, json=body, headers=called())).raise_for_status()

    async def quiet(self) -> None:
        """Wait until no job is under way."""
        while not await self.idle():  # noqa: ASYNC110 - the ledger is behind a socket, it sets no event
            await asyncio.sleep(0.5)

    async def idle(self) -> bool:
        """Whether the gateway knows of no job that is under way."""
        async with self.azure.operator() as operator:
            known = (await operator.get("/api/jobs")).json()["value"]
        return all(job["isOver"] for job in known)


def called() -> dict[str, str]:
    """The context of one call of the app's."""
    return {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}


@asynccontextmanager
async def site() -> AsyncIterator[Azure]:
    """Gateway, emulator, and a receiver of spans."""
    settings = fast(job_start_seconds=3.0, job_seconds=JOB_SECONDS, cancel_seconds=2.0)
    async with otlp_receiver() as receiver:
        tracing = {"endpoint": receiver.url, "ui_url": TRACE_UI}
        jobs = {"rate": 1, "burst": 2, "watch": "seen"}
        async with running_azure(settings, tracing=tracing, jobs=jobs) as azure:
            yield azure


async def work(azure: Azure, minutes: float) -> None:
    """The scenario, up to a job that is still running."""
    async with azure.app() as http:
        app = App(azure, http, time.monotonic() + 60 * minutes)
        await app.job("POST", "/jobs/deletions")
        await app.job("PUT", "/jobs/imports/campus", "campus.ndjson")
        await app.quiet()  # the twins are there
        others = [asyncio.create_task(each) for each in (app.reads(), app.troubles())]
        try:
            await app.jobs()
            await app.job("PUT", "/jobs/imports/broken-model", "broken-model.ndjson")
            await app.job("PUT", "/jobs/imports/campus-again", "campus.ndjson")
            body = azure.import_body()
            await asyncio.sleep(JOB_SECONDS / 6)
            await http.put("/jobs/imports/one-too-many", json=body, headers=called())
            await http.get("/jobs/imports/no-such-job", headers=called())
            await asyncio.sleep(JOB_SECONDS / 2)  # they waited for their turn: not in the newest step's p95
        finally:
            for other in others:
                other.cancel()
            for other in others:
                with suppress(asyncio.CancelledError):
                    await other


async def photograph(browser: Browser, url: str) -> None:
    """The page in every look, one right after the other."""
    for name, options in LOOKS.items():
        async with visit(browser, url, reduced_motion="reduce", **options) as shown:
            path = PICTURES / f"{name}.png"
            await shown.page.screenshot(path=path, full_page=name != "status-phone")


async def main(minutes: float) -> None:
    """Take and draw them all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser, site() as azure:
        await work(azure, minutes)
        await photograph(browser, azure.gateway.admin)
    (PICTURES / "trace.svg").write_text(await waterfall())


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
