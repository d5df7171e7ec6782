"""A gateway that was killed knows, once it is started again, what had been sent."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.process import Serving
from tests.support.replays import DELETE_ALL, DELETE_ALL_NAMED, LOST, REPLAYED, SAS, Write
from tests.support.restarts import Site, app_of, running_site

pytestmark = pytest.mark.slow

CANARY = b"canary"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path / "jobs.db") as running:
        yield running


def put(site: Site, job_id: str) -> Write:
    """An import whose blobs are reached by a secret."""
    blob = f"{site.cloud.url}/blob/samples/campus.ndjson{SAS}"
    return Write("PUT", f"/jobs/imports/{job_id}", body={"inputBlobUri": blob, "outputBlobUri": blob})


async def killed(gateway: Serving) -> None:
    gateway.send_signal(signal.SIGKILL)
    assert await gateway.ended() == -signal.SIGKILL


async def test_what_was_sent_before_a_kill_is_not_sent_after_it(site: Site) -> None:
    """Lost answers are made from reads and successes given again, by the next process and at its address.

    No secret of a blob URI is in the file.
    """
    lost, done = [put(site, "lost"), DELETE_ALL_NAMED], [DELETE_ALL, put(site, "done")]
    async with site.gateway() as gateway, app_of(gateway) as app:
        for write in lost:
            site.wrong(path=write.path, execute=True, **LOST["cut"])
            assert (await write.send(app, write.path)).status_code == 502
            site.free()
        before = []
        for write in done:
            before.append(await write.send(app, write.path + "-done"))
            site.free()
        assert [answer.status_code for answer in before] == [202, 201]
        assert CANARY not in site.written()
        await killed(gateway)
    async with site.gateway() as gateway, app_of(gateway) as app:
        found = [await write.send(app, write.path) for write in lost]
        again = [await write.send(app, write.path + "-done") for write in done]
        assert [answer.status_code for answer in (*found, *again)] == [201, 202, 202, 201]
        assert {answer.headers.get(REPLAYED) for answer in (*found, *again)} == {"true"}
        assert again[1].json()["id"] == "done"
        assert again[0].content == before[0].content
        assert again[0].headers["operation-location"].startswith(f"{gateway.data}/jobs/deletions/")
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert len([entry for entry in site.arrived if entry.method in {"PUT", "POST"}]) == 4
    assert CANARY not in site.written()
    assert CANARY.decode() not in str(gateway.lines)


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_a_kill_while_a_write_is_under_way(site: Site, execute: bool) -> None:
    """The intent is in the file before the first byte leaves, so the next process looks the write up."""
    site.wrong(path=DELETE_ALL.path, execute=execute, **LOST["timeout"])
    async with site.gateway() as gateway, app_of(gateway) as app:
        sending = asyncio.create_task(DELETE_ALL_NAMED.send(app, "under-way"))
        await site.arrival()
        await killed(gateway)
        with pytest.raises(httpx.TransportError):
            await sending
    async with site.gateway() as gateway, app_of(gateway) as app:
        answer = await DELETE_ALL_NAMED.send(app, "under-way")
        assert (answer.status_code, answer.json()["id"]) == (202, "named")
        assert answer.headers.get(REPLAYED) == ("true" if execute else None)
    methods = [entry.method for entry in site.arrived]
    assert methods == ["POST", "GET"] if execute else ["POST", "GET", "POST"]
    assert list(site.cloud.emulator.state.jobs.deletions) == ["named"]
