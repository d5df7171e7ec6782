"""The program under more connections than usual: out of open files, and with thousands that are idle."""

import asyncio
import os
import resource
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.process import Serving, serving
from tests.support.raw import raw_client
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MANY = 3_000
KIB_EACH = 6.0


def environ(upstream: FaultUpstream) -> dict[str, str]:
    """A gateway that needs no token, ends at once and leaves idle connections alone."""
    return {
        "ADT_GATEWAY_UPSTREAM__BASE_URL": upstream.origin,
        "ADT_GATEWAY_AUTH__MODE": "none",
        "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
        "ADT_GATEWAY_LIMITS__CONNECTIONS": "10000",
        "ADT_GATEWAY_LIMITS__HEAD_TIMEOUT": "600",
        "ADT_GATEWAY_LIMITS__KEEP_ALIVE": "600",
    }


async def asked(running: Serving) -> int:
    """The status that a request on a new connection gets; 0 where it gets none."""
    with suppress(ConnectionError, EOFError):
        async with raw_client(*running.address) as client:
            await client.send(request())
            return (await client.response()).status
    return 0


async def test_no_more_files_can_be_opened() -> None:
    """Where the system refuses another file the gateway lives on, and serves again once there are some."""
    async with fault_upstream() as upstream, serving(environ(upstream)) as running:
        assert await asked(running) == 200
        pid = running.process.pid
        few = len(os.listdir(f"/proc/{pid}/fd")) + 10  # noqa: PTH208 - counted, not read
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (few, few))
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(raw_client(*running.address)) for _ in range(40)]
            # Closed by the gateway's system calls, since there is no file for it.
            assert await clients[-1].closed()
            assert running.process.returncode is None
        async with asyncio.timeout(20):
            while await asked(running) != 200:
                continue
        running.send_signal(signal.SIGTERM)
        assert await running.ended() == 0


def resident(pid: int) -> float:
    """Resident memory in KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Rss:"))


@pytest.mark.slow
async def test_idle_connections_cost_little() -> None:
    """Thousands of connections that have asked once and wait cost at most 6 KiB each."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 3 * MANY:
        pytest.skip("too few open files are allowed here: ulimit -Hn")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        async with (
            fault_upstream(faults.reply(200, b"{}")) as upstream,
            serving(environ(upstream)) as running,
            AsyncExitStack() as stack,
        ):

            async def idle() -> None:
                client = await stack.enter_async_context(raw_client(*running.address))
                await client.send(request())
                assert (await client.response()).status == 200

            for _ in range(20):
                await asyncio.gather(*(asked(running) for _ in range(20)))
            before = resident(running.process.pid)
            for _ in range(MANY // 50):
                await asyncio.gather(*(idle() for _ in range(50)))
            assert (resident(running.process.pid) - before) / MANY < KIB_EACH
            assert await asked(running) == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
