"""The status page in a real browser, in front of a real gateway and emulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, expect

from gateway.admin.page import words
from tests.support.azure import Azure, fast, gateway_to, running_azure
from tests.support.browser import DESK, PHONE, Visit, chromium, visit
from tests.support.wire import until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

UI = "https://traces.example/trace/{trace_id}"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALL = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
INJECTED = '<script>document.title="taken"</script>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the module; each visit has a profile of its own."""
    async with chromium() as running:
        yield running


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


async def test_without_javascript(browser: Browser) -> None:
    """The essentials need no script; the page says how to see the newest state."""
    async with busy() as azure, seen(browser, azure, java_script_enabled=False) as shown:
        page = shown.page
        await expect(page.get_by_role("status")).to_have_text("Ready")
        await expect(page.locator("#token")).to_contain_text("Expires in 59 min")
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


async def test_print(browser: Browser) -> None:
    """On paper there is no navigation and no button, and the state is there."""
    async with busy() as azure, seen(browser, azure) as shown:
        await shown.page.emulate_media(media="print")
        await expect(shown.page.get_by_role("navigation")).to_be_hidden()
        await expect(shown.page.get_by_role("status")).to_be_visible()


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
