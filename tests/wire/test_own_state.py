"""What the admin listener says of the upstream and of the jobs, and what the emulator says of itself."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.azure import fast, gateway_to, running_azure
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.process import GUARD, environment
from tests.support.upstream import FaultUpstream
from tests.support.wire import IMPORT, admin, ask, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN_PATH = "/00000000-0000-0000-0000-000000000001/oauth2/"


async def check(gateway: RunningGateway, name: str) -> tuple[bool, str]:
    """What one check says, in `/readyz?verbose` as in `/api/status`."""
    told = json.loads((await admin(gateway, "/api/status")).body)["checks"]
    [(ok, detail)] = [(one["ok"], one["detail"]) for one in told if one["name"] == name]
    ready = (await admin(gateway, "/readyz?verbose")).body.decode()
    [line] = [line for line in ready.splitlines() if line.partition(" ")[2].startswith(f"{name}:")]
    assert line.startswith("[+]" if ok else "[-]")
    return ok, detail


async def test_upstream_is_told_about_but_does_not_decide(upstream: FaultUpstream) -> None:
    """A failing upstream shows with its failures in a row until it answers, and the gateway stays ready."""
    upstream.on("/models/lost", faults.cut())
    upstream.on("/models/bad", faults.reply(503))
    upstream.on("/models/none", faults.reply(404))
    async with running_gateway(upstream.origin) as gateway:
        for target, expected in (
            ("/models/there", r"no failure in the last 10 min \(1 attempt\)"),
            ("/models/lost", r"the last attempt failed \d s ago with GatewayUpstreamConnectionLost"),
            ("/models/bad", r"the last 2 attempts failed, the first \d s ago, the last with 503"),
            ("/models/none", r"answers; 2 of 4 attempts failed in the last 10 min"),
        ):
            await ask(gateway, target, "POST")

            async def told(expected: str = expected) -> bool:
                ok, detail = await check(gateway, "upstream")
                return ok and re.fullmatch(expected, detail) is not None

            await until(told)
            assert (await admin(gateway, "/readyz")).status == 200


async def test_a_token_is_told_with_its_life() -> None:
    """A valid token shows for how long it is valid; one that is refused shows why, and the next try."""
    async with running_azure(fast(expires_in=7_200)) as azure:
        ok, detail = await check(azure.gateway, "token")
        assert (ok, re.fullmatch(r"valid, for another (2 h|1 h \d+ min)", detail) is not None) == (True, True)
        azure.wrong(path=TOKEN_PATH, status=401, body='{"error": "invalid_client"}', times=None)
        async with gateway_to(azure.cloud) as gateway:

            async def refused() -> bool:
                return not (await check(gateway, "token"))[1].startswith("the first token")

            await until(refused)
            ok, detail = await check(gateway, "token")
    assert not ok
    assert re.fullmatch(
        r"none; the refresh failed (once|\d+ times in a row): .+[^.]; (next try in \d+ s|trying now)", detail
    )


async def test_a_token_that_never_expires() -> None:
    """A static token is valid for as long as it is."""
    static = {"mode": "static", "static": {"token": "canary"}}
    async with running_gateway("http://127.0.0.1:9", auth=static) as gateway:
        assert await check(gateway, "token") == (True, "valid, does not expire")
    async with running_gateway("http://127.0.0.1:9") as gateway:
        assert await check(gateway, "token") == (True, "auth.mode is none")


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


async def test_a_token_file_that_comes_later(upstream: FaultUpstream, tmp_path: Path) -> None:
    """Without its token file the gateway serves, and is not ready; once the file is there it is."""
    token = tmp_path / "token"
    auth = {"mode": "file", "file": {"path": token}}
    async with running_gateway(upstream.origin, auth=auth) as gateway:

        async def told() -> bool:
            ok, detail = await check(gateway, "token")
            return not ok and "No such file" in detail

        await until(told)
        assert (await ask(gateway)).status == 503
        token.write_text("a-token")

        async def ready() -> bool:
            return (await admin(gateway, "/readyz")).status == 200

        await until(ready)
        assert (await ask(gateway)).status == 200
