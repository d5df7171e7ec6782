"""An open status page follows its gateway, and disturbs nobody who reads it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from gateway.admin.page import words
from tests.support.addresses import require_own_address
from tests.support.azure import Azure, gateway_to, running_azure
from tests.support.browser import PHONE, chromium, visit
from tests.support.status_page import create, seen
from tests.support.wire import until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ANY = "0.0.0.0"  # noqa: S104 - so that a browser comes as one of another machine does


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the module; each visit has a profile of its own."""
    async with chromium() as running:
        yield running


async def test_it_updates_by_itself(browser: Browser) -> None:
    """A job appears, and its end too, without the page being loaded again."""
    async with running_azure() as azure, seen(browser, azure) as shown:
        await expect(shown.page.locator("#jobs")).to_contain_text("No job seen yet")
        await shown.page.evaluate("window.sameDocument = true")
        azure.change(job_seconds=600)
        await create(azure, "one")
        row = shown.page.get_by_role("row", name="import one")
        await expect(row).to_contain_text("running")
        async with azure.app() as app:
            await app.post("/jobs/imports/one/cancel")
            await until_over(azure, "one")
        await expect(row).to_contain_text("cancelled")
        assert await shown.page.evaluate("window.sameDocument") is True


async def until_over(azure: Azure, job_id: str) -> None:
    async with azure.app() as app:

        async def over() -> bool:
            status = (await app.get(f"/jobs/imports/{job_id}")).json()["status"]
            return status in {"cancelled", "succeeded", "failed"}

        await until(over)


async def test_an_update_disturbs_nobody(browser: Browser) -> None:
    """Focus, selection, scrolling and an opened part outlive updates that put rows before them."""
    long = "y" * 100
    async with running_azure() as azure, seen(browser, azure, viewport=PHONE) as shown:
        await create(azure, long)
        page = shown.page
        await page.get_by_text("full id").click()
        await page.get_by_role("row", name="import yyy").get_by_role("link").first.focus()
        await page.evaluate("getSelection().selectAllChildren(document.querySelector('details bdi'))")
        await page.evaluate("scrollTo(0, 300)")
        await create(azure, "newer")
        await expect(page.get_by_role("row", name="import newer")).to_be_attached()
        assert await page.evaluate("document.activeElement.textContent") == words.shortened(long)
        assert await page.evaluate("String(getSelection())") == long
        assert await page.evaluate("document.querySelector('details').open") is True
        assert await page.evaluate("scrollY") > 0


async def test_when_the_gateway_is_gone(browser: Browser) -> None:
    """The page says since when it has no answer, and recovers with the next gateway."""
    async with running_azure() as azure:
        admin = azure.gateway.admin
        async with visit(browser, admin) as shown:
            page, lost = shown.page, shown.page.get_by_role("alert")
            await expect(lost).to_be_hidden()
            azure.gateway.stop.ask()
            await azure.gateway.serving
            await expect(lost).to_contain_text("No answer since")
            await expect(lost).to_contain_text("What stands here is from then.")
            await expect(page).to_have_title("No answer · adt-gateway")
            again = int(admin.rpartition(":")[2])
            async with gateway_to(azure.cloud, admin={"port": again}):
                await expect(lost).to_be_hidden()
                await expect(page).to_have_title("Ready · adt-gateway")


async def test_paused(browser: Browser) -> None:
    """Updates can be paused, and go on from there."""
    async with running_azure() as azure, seen(browser, azure, clock=True) as shown:
        pause = shown.page.get_by_role("button", name="Pause updates")
        await pause.click()
        await expect(pause).to_have_attribute("aria-pressed", "true")
        asked = len(shown.requested)
        await create(azure, "one")
        await shown.page.clock.run_for(60_000)
        assert len(shown.requested) == asked
        await expect(shown.page.locator("#jobs")).to_contain_text("No job seen yet")
        await pause.click()
        await expect(shown.page.get_by_role("row", name="import one")).to_be_visible()


async def test_script_and_server_count_alike(browser: Browser) -> None:
    """What the script counts on is worded as the server words it."""
    seconds = [-3, 0, 0.99, 59.5, 60, 61, 3599, 3600, 86_399, 86_400, 172_800.5, 1e9]
    async with running_azure() as azure, seen(browser, azure) as shown:
        said = await shown.page.evaluate("seconds => seconds.map(duration)", seconds)
    assert said == [words.duration(each) for each in seconds]


COUNTED_ON = """() => {
  const now = document.getElementById("asof").dataset.now;
  const text = document.querySelector("#token .verdict .ticks").textContent;
  const counted = window.seenNow === now && window.seenText !== text;
  Object.assign(window, { seenNow: now, seenText: text });
  return counted;
}"""


async def test_the_countdown_goes_on_between_answers(browser: Browser) -> None:
    """The token's countdown moves while the page still shows the same answer."""
    async with running_azure() as azure, seen(browser, azure) as shown:
        await shown.page.wait_for_function(COUNTED_ON)


async def test_with_a_login_in_the_address(browser: Browser) -> None:
    """A page that was opened as `http://user:token@…` from another machine updates itself too."""
    address = require_own_address()
    async with running_azure(admin={"host": ANY, "token": "admin-token-1"}) as azure:
        port = azure.gateway.admin.rpartition(":")[2]
        async with visit(browser, f"http://me:admin-token-1@{address}:{port}/") as shown:
            await expect(shown.page.locator("#jobs")).to_contain_text("No job seen yet")
            await create(azure, "one")
            await expect(shown.page.get_by_role("row", name="import one")).to_be_visible()
            await expect(shown.page.get_by_role("alert")).to_be_hidden()
            assert shown.complaints == []
