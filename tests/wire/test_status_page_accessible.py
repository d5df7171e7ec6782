"""The status page for everybody: by keyboard, by screen reader, without JavaScript, on paper."""

import re
from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, expect

from tests.support.azure import running_azure
from tests.support.browser import DESK, PHONE, chromium
from tests.support.status_page import busy, seen

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the module; each visit has a profile of its own."""
    async with chromium() as running:
        yield running


async def test_without_javascript(browser: Browser) -> None:
    """The essentials need no script; the page says how to see the newest state."""
    async with busy() as azure, seen(browser, azure, java_script_enabled=False) as shown:
        page = shown.page
        await expect(page.get_by_role("status")).to_have_text("Ready")
        await expect(page.locator("#token")).to_contain_text(re.compile(r"Expires in \d+ min \d\d s"))
        await expect(page.get_by_role("row", name="import broken")).to_contain_text("failed")
        await expect(page.get_by_role("banner")).to_contain_text("reload for the newest state")
        await expect(page.get_by_role("button")).to_have_count(0)


LOOKS: dict[str, tuple[Literal["light", "dark"], ViewportSize]] = {
    "light": ("light", DESK),
    "dark": ("dark", DESK),
    "phone": ("light", PHONE),
    "dark phone": ("dark", PHONE),
}


@pytest.mark.parametrize("state", ["busy", "new", "failing"])
async def test_accessible(browser: Browser, state: str) -> None:
    """axe-core finds nothing serious in any look: with all there is, with nothing, and in trouble."""
    wrong = {"oauth2": {"client_secret": "wrong"}}
    states = {"busy": busy, "new": running_azure, "failing": lambda: running_azure(auth=wrong)}
    async with states[state]() as azure, azure.app() as app:
        if state == "failing":
            await app.get("/models")
        async with seen(browser, azure, reduced_motion="reduce") as shown:
            wanted = "Not ready" if state == "failing" else "Ready"
            await expect(shown.page.get_by_role("status")).to_have_text(wanted)
            for look, (scheme, size) in LOOKS.items():
                await shown.page.emulate_media(color_scheme=scheme)
                await shown.page.set_viewport_size(size)
                assert await shown.faults() == [], look
                width = await shown.page.evaluate("document.documentElement.scrollWidth")
                assert width <= size["width"], look


async def test_by_keyboard(browser: Browser) -> None:
    """Tab reaches every link, button and scrolled table, and shows where it is; the first link skips."""
    async with busy() as azure, seen(browser, azure) as shown:
        page = shown.page
        wanted = await page.evaluate(
            "document.querySelectorAll('a, button, summary, [tabindex=\"0\"]').length"
        )
        reached = []
        for _ in range(wanted):
            await page.keyboard.press("Tab")
            reached.append(
                await page.evaluate(
                    "(e => e.matches(':focus-visible') && getComputedStyle(e).outlineStyle !== 'none' &&"
                    " e.outerHTML)(document.activeElement)"
                )
            )
        assert all(reached)
        assert len(reached) == wanted
        assert "Skip to the state" in reached[0]
        await page.reload()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"


async def test_health_is_announced(browser: Browser) -> None:
    """Only the verdict is a live region, and it changes with the gateway's state."""
    async with running_azure() as azure, azure.app() as app, seen(browser, azure) as shown:
        verdict = shown.page.get_by_role("status")
        await expect(verdict).to_have_text("Ready")
        azure.wrong(kind="html-502", path="/models", times=None)
        await app.get("/models")
        await expect(verdict).to_have_text("Ready, with a warning")
        await expect(shown.page.locator("#health")).to_contain_text("requests to ADT failed")
        assert await shown.page.locator("[aria-live], [role=status], [role=alert], [role=log]").count() == 2


async def test_print(browser: Browser) -> None:
    """On paper there is no navigation and no button, and the state is there."""
    async with busy() as azure, seen(browser, azure) as shown:
        await shown.page.emulate_media(media="print")
        await expect(shown.page.get_by_role("navigation")).to_be_hidden()
        await expect(shown.page.get_by_role("status")).to_be_visible()
