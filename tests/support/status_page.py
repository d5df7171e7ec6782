"""The status page of a real gateway in front of the emulator, as a browser sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser

from tests.support.azure import Azure, fast, running_azure
from tests.support.browser import Visit, visit
from tests.support.wire import until

UI = "https://traces.example/trace/{trace_id}"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALL = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


@asynccontextmanager
async def seen(browser: Browser, azure: Azure, **options: Any) -> AsyncIterator[Visit]:
    """The page, which must not complain of anything, nor ask anything of anyone else."""
    async with visit(browser, azure.gateway.admin, **options) as shown:
        yield shown
        assert shown.complaints == []
        assert [url for url in shown.requested if not url.startswith(azure.gateway.admin + "/")] == []


@asynccontextmanager
async def busy(**sections: Any) -> AsyncIterator[Azure]:
    """Some traffic, an error, a job that failed and one that runs."""
    tracing = {"ui_url": UI}
    async with running_azure(fast(), tracing=tracing, **sections) as azure, azure.app() as app:
        await app.get("/digitaltwins/nobody", headers=CALL)
        await create(azure, "broken", "broken-model.ndjson")
        azure.change(job_seconds=600)
        await create(azure, "long")
        yield azure


async def create(azure: Azure, job_id: str, blob: str = "campus.ndjson") -> None:
    """An import, as soon as no other job is in the way."""
    body = azure.import_body(blob)
    async with azure.app() as app:

        async def accepted() -> bool:
            quoted = job_id.replace("<", "%3C").replace(">", "%3E").replace("/", "%2F").replace('"', "%22")
            return (await app.put(f"/jobs/imports/{quoted}", json=body, headers=CALL)).status_code == 201

        await until(accepted)
        await app.get("/jobs/imports")
