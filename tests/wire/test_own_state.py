"""What the admin listener says of the upstream and of the jobs, and what the emulator says of itself."""

import asyncio
import json
import os
import sys

import pytest

from tests.support import faults
from tests.support.gateway import running_gateway
from tests.support.process import GUARD, environment
from tests.support.upstream import FaultUpstream
from tests.support.wire import IMPORT, admin, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_upstream_is_told_about_but_does_not_decide(upstream: FaultUpstream) -> None:
    """A failing upstream shows in /readyz?verbose, until it answers again, and the gateway stays ready."""
    upstream.on("/models/lost", faults.cut())
    async with running_gateway(upstream.origin) as gateway:
        for target, told in (
            ("/models/lost", b"the last request ended with GatewayUpstreamConnectionLost"),
            ("/models/there", b"no failure"),
        ):
            await ask(gateway, target)
            ready = await admin(gateway, "/readyz?verbose")
            assert (ready.status, b"[+] upstream: " + told in ready.body) == (200, True)


async def test_status_tells_when_jobs_were_last_seen(upstream: FaultUpstream) -> None:
    """/api/status counts the known jobs, and says when an answer about jobs was last read."""
    job = {"id": "job-1", "status": "running", "createdDateTime": "2026-01-01T00:00:00.0000000Z"}
    upstream.on("/jobs/imports/job-1", faults.reply(200, json.dumps(job).encode()))
    async with running_gateway(upstream.origin) as gateway:
        before = json.loads((await admin(gateway, "/api/status")).body)["jobs"]
        await ask(gateway, IMPORT)
        after = json.loads((await admin(gateway, "/api/status")).body)["jobs"]
    assert (before["known"], before["lastSeenOn"]) == (0, None)
    assert before["store"] == {"name": "memory", "problem": None}
    assert before["turns"] == {"queued": {"write": 0, "read": 0, "watch": 0}, "pausedSeconds": 0}
    assert before["watcher"]["following"] == 0
    assert after["known"] == 1
    assert after["lastSeenOn"] > 0


async def test_emulator_says_how_to_use_it() -> None:
    """`emulator --port 0` prints its address, and the variables of a gateway in front of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "emulator",
        "--port",
        "0",
        env=environment({"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(GUARD):
            printed = (await process.stdout.readuntil(b"adt-gateway serve\n")).decode()
    finally:
        process.terminate()
        code = await process.wait()
    url = printed.split()[4].rstrip(";")
    assert url.startswith("http://127.0.0.1:")
    assert f"ADT_GATEWAY_UPSTREAM__BASE_URL={url}\n" in printed
    assert f"ADT_GATEWAY_AUTH__OAUTH2__TOKEN_URL={url}/" in printed
    assert code == 0
