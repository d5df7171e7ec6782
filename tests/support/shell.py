"""A shell beside a gateway whose jobs end when a test lets them.

A process costs a second, so where a process is not what matters a command runs in a thread of this one.
"""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from tests.support.azure import Azure, fast, running_azure
from tests.support.console import invoke
from tests.support.process import GUARD, Ended, environment

QUIET: dict[str, Any] = {
    "jobs": {"watch": "off", "rate": 0, "max_staleness": 0, "terminal_staleness": 0},
}
"""The gateway sends nothing of its own, and a poll shows what is."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ID = "j 1/é"
PATH = "/jobs/imports/j%201%2F%C3%A9"


@asynccontextmanager
async def running_beside() -> AsyncIterator[Azure]:
    """A gateway, and an instance whose jobs run until a test ends them."""
    async with running_azure(fast(job_seconds=3_600), **QUIET) as running:
        yield running


def at(azure: Azure) -> dict[str, str]:
    """The environment of a shell beside this gateway: where it listens, and nothing else."""
    return {
        "ADT_GATEWAY_ADMIN__PORT": azure.gateway.admin.rpartition(":")[2],
        "ADT_GATEWAY_LISTEN__PORT": azure.gateway.data.rpartition(":")[2],
    }


async def jobs(azure: Azure, *arguments: str, **environ: str) -> Ended:
    """Run a command beside the gateway, without a terminal."""
    return await asyncio.to_thread(invoke, *arguments, **at(azure), **environ)


async def start(azure: Azure, path: str = PATH, name: str = "campus.ndjson") -> None:
    """Create an import through the gateway, in a trace."""
    creation = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with azure.app() as app:
        created = await app.put(path, json=azure.import_body(name, sas="?sig=canary"), headers=creation)
    assert created.status_code == 201


async def finish(azure: Azure, path: str = PATH, status: str = "succeeded") -> None:
    """Let the running import end, and somebody poll it."""
    active = azure.cloud.emulator.state.jobs.active
    assert active is not None
    active.ends = active.starts + timedelta(milliseconds=1)
    async with azure.app() as app:
        assert (await app.get(path)).json()["status"] == status


@asynccontextmanager
async def watching(azure: Azure, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A `jobs watch` that runs; it is killed where it outlives the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "jobs", "watch", "--interval", "0.1", *arguments),
        env=environment(at(azure)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GUARD):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line of its standard output."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip("\n")


async def at_terminal(azure: Azure, *arguments: str, typed: str = "", screen: bool = False) -> Ended:
    """Run a command at a terminal at which this is typed; `screen` shows its standard output there too."""
    ours, its = pty.openpty()
    os.write(ours, typed.encode())
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "jobs", *arguments),
            env=environment({**at(azure), "TERM": "xterm"}),
            stdin=its,
            stdout=its if screen else asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(GUARD):
            out, err = await process.communicate()
        shown = os.read(ours, 65_536) if screen else out
    finally:
        os.close(its)
        os.close(ours)
    return Ended(process.returncode or 0, shown.decode(), err.decode())


def failed(ended: Ended, code: int, said: str) -> None:
    """Exit code, nothing on standard output, and one line of an error."""
    assert (ended.code, ended.out) == (code, "")
    [error] = ended.lines
    assert error.startswith("error: ")
    assert said in error
