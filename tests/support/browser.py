"""The system's Chromium, driven by Playwright, and axe-core to judge a page by.

async with chromium() as browser, visit(browser, url) as visit:
    await visit.page.get_by_text("Ready").wait_for()
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from tests.support.programs import require_program

INSTALL = "apt-get install chromium"
AXE = Path(__file__).parent.parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
AXE_INSTALL = "npm ci --prefix tests/browser"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",  # grey edges of letters: pictures become much smaller
)
PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}
_SERIOUS = frozenset({"serious", "critical"})


@dataclass(slots=True)
class Visit:
    """One page, and what it did: everything it asked for, and everything it complained of."""

    page: Page
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console, a broken Content-Security-Policy's included, and exceptions."""

    def listen(self) -> None:
        """Begin to note."""
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )

    async def faults(self) -> list[str]:
        """What axe-core finds serious or critical: the rule, and the elements."""
        # By evaluate, since the page's own policy lets no script in.
        await self.page.evaluate(axe_source())
        found: dict[str, Any] = await self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{each['id']}: {[node['html'] for node in each['nodes']]}"
            for each in found["violations"]
            if each["impact"] in _SERIOUS
        ]


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A browser with a profile of its own, and further flags; skips the test where there is none."""
    path = require_program("chromium", INSTALL)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visit(browser: Browser, url: str, *, clock: bool = False, **options: Any) -> AsyncIterator[Visit]:
    """The page at `url` in a context of its own; `options` are Playwright's for a context.

    With `clock` the test can let the page's time pass (`page.clock`).
    """
    context = await browser.new_context(**{"viewport": DESK, **options})
    try:
        visit = Visit(await context.new_page())
        visit.listen()
        if clock:
            await visit.page.clock.install()
        await visit.page.goto(url)
        yield visit
    finally:
        await context.close()


def axe_source() -> str:
    """axe-core; skips the test without it, fails it under `REQUIRE_ALL=1`."""
    if AXE.exists():
        return AXE.read_text()
    message = f"axe-core is not installed: {AXE_INSTALL}"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(message)
    pytest.skip(message)
