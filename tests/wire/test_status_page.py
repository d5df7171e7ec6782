"""The status page in a real browser: what it shows, and what it lets in."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.azure import running_azure
from tests.support.browser import PHONE, chromium, visit
from tests.support.status_page import TRACE, UI, busy, create, seen

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

INJECTED = '<script>document.title="taken"</script>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the module; each visit has a profile of its own."""
    async with chromium() as running:
        yield running


async def test_it_loads(browser: Browser) -> None:
    """Health, token, figures, errors and jobs are there, and traces lead to the tracing UI."""
    async with busy() as azure, seen(browser, azure) as shown:
        page = shown.page
        await expect(page).to_have_title("Ready · adt-gateway")
        await expect(page.get_by_role("status")).to_have_text("Ready")
        await expect(page.locator("#token")).to_contain_text("Expires in")
        await expect(page.get_by_role("img", name="Latency: p50 and p95, requests to ADT")).to_be_visible()
        error = page.get_by_role("row", name="DigitalTwinNotFound")
        await expect(error.get_by_role("link")).to_have_attribute("href", UI.format(trace_id=TRACE))
        await expect(page.get_by_role("row", name="import broken")).to_contain_text("DTDLParsingError")
        assert await page.get_by_role("row", name="import long").locator("rect").count() >= 1
        for name in ("/metrics", "/readyz?verbose", "/api/status", "/api/jobs"):
            href = await page.get_by_role("link", name=name, exact=True).first.get_attribute("href")
            answer = await page.request.get(f"{azure.gateway.admin}/{href}")
            assert answer.ok


async def test_what_a_caller_names_stays_text(browser: Browser) -> None:
    """An id that is a script is shown and not run; a long one, or one written to the left, breaks nothing."""
    ids = (INJECTED, "x" * 400, "שלום-123")
    async with running_azure() as azure, seen(browser, azure, viewport=PHONE) as shown:
        for job_id in ids:
            await create(azure, job_id)
        await expect(shown.page.get_by_text(INJECTED)).to_be_visible()
        await expect(shown.page.get_by_text("שלום-123")).to_be_visible()
        await shown.page.get_by_text("full id").click()
        await expect(shown.page.get_by_text("x" * 400)).to_be_visible()
        await expect(shown.page).to_have_title("Ready · adt-gateway")
        assert await shown.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


async def test_nothing_else_may_load(browser: Browser) -> None:
    """The policy keeps out what an injected element would load or run."""
    async with running_azure() as azure, visit(browser, azure.gateway.admin) as shown:
        await shown.page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/x onerror=taken=1>')"
        )
        async with asyncio.timeout(20):
            while not shown.complaints:
                await shown.page.evaluate("0")
        assert "Content Security Policy" in shown.complaints[0]
        assert await shown.page.evaluate("typeof taken") == "undefined"
