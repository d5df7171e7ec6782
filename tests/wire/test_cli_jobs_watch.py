"""`adt-gateway jobs watch` as a real process beside a real gateway: what it tells, and how it ends."""

import json
import re
import signal
from collections.abc import AsyncIterator

import pytest

from tests.support.azure import Azure
from tests.support.shell import ID, PATH, at_terminal, finish, line, running_beside, start, watching


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_beside() as running:
        yield running


async def test_watching_one_job(azure: Azure) -> None:
    """A watch tells each change that the gateway learns of, ends with the job, and sends nothing upstream."""
    await start(azure)
    async with watching(azure, "import", ID) as process:
        assert f"import job {ID}: notstarted, elapsed" in await line(process)
        before = len(azure.arrived)
        await finish(azure)
        assert f"import job {ID}: succeeded, elapsed" in await line(process)
        assert await process.wait() == 0
    assert len(azure.arrived) == before + 1


async def test_watching_at_a_terminal(azure: Azure) -> None:
    """At a terminal the progress is drawn in place; its last state stays, and the cursor comes back."""
    await start(azure)
    await finish(azure)
    ended = await at_terminal(azure, "watch", "import", ID, screen=True)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("\x1b[?25l")
    assert ended.out.rstrip().endswith("\x1b[?25h")
    assert "succeeded" in ended.out


async def test_watching_for_programs(azure: Azure) -> None:
    """With --json each change is an object on a line; a job that was cancelled is no success."""
    await start(azure)
    async with watching(azure, "import", ID, "--json") as process, azure.app() as app:
        assert json.loads(await line(process))["change"] == "seen"
        assert (await app.post(f"{PATH}/cancel")).status_code == 200
        assert (await app.get(PATH)).json()["status"] == "cancelled"
        out, _ = await process.communicate()
    assert process.returncode == 1
    changes = [json.loads(text) for text in out.splitlines()]
    assert (changes[-1]["change"], changes[-1]["job"]["status"]) == ("status", "cancelled")


async def test_watching_all(azure: Azure) -> None:
    """Without an id all that are unfinished are watched; one that vanishes is no success."""
    await start(azure)
    async with watching(azure) as process, azure.app() as app:
        assert "notstarted" in await line(process)
        await app.delete(PATH)
        assert f"import job {ID}: gone" in await line(process)
        assert await process.wait() == 1


async def test_ctrl_c(azure: Azure) -> None:
    """Ctrl-C ends a watch with 130 and without a word; the job goes on."""
    await start(azure)
    async with watching(azure, "import", ID) as process:
        await line(process)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


async def test_the_expected_end(azure: Azure) -> None:
    """The end is expected by the jobs of its kind that the gateway has seen succeed."""
    azure.change(job_seconds=0.05)
    for number in range(3):
        await start(azure, f"/jobs/imports/{number}")
        await finish(azure, f"/jobs/imports/{number}")
    azure.change(job_seconds=3_600)
    await start(azure)
    async with watching(azure, "import", ID) as process:
        assert re.search(r"(median of the last 3 that succeeded)", await line(process))
