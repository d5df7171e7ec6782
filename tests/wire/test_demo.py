"""The demo as a user starts it: a process of its own, judged by what it prints and its exit code."""

import asyncio
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress

import pytest
from rich.console import Console

from gateway.demo import DemoFailed
from gateway.demo.scenario import Scenario
from gateway.listeners import Addresses
from tests.support.azure import running_azure

WITHIN = 120.0
"""Seconds after which the demo is held to be stuck."""
USUAL_PORTS = (8090, 8080, 9464)


@asynccontextmanager
async def demo(*arguments: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m gateway demo`, which does not outlive the block."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo", *arguments),
        env={**inherited, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def run(*arguments: str, **environ: str) -> tuple[int | None, str, str]:
    """Run it to its end: exit code, standard output, standard error."""
    async with demo(*arguments, **environ) as process, asyncio.timeout(WITHIN):
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


def take_usual_ports(stack: ExitStack) -> None:
    """Listen on the ports the demo likes, where nobody does already."""
    for port in USUAL_PORTS:
        taken = stack.enter_context(socket.socket())
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            taken.bind(("127.0.0.1", port))
            taken.listen()


@pytest.mark.slow
async def test_the_demo_ends_0_and_shows_everything() -> None:
    """Where ports are taken it finds others; it shows an import, a deletion, a job nobody polls, an error."""
    with ExitStack() as stack:
        take_usual_ports(stack)
        code, out, err = await run("--once")
    assert (code, err) == (0, "")
    for port in USUAL_PORTS:
        assert f"Port {port} is taken" in out
    wanted = [
        "gateway, for the app    http://127.0.0.1:",
        "status page             http://127.0.0.1:",
        "/jobs/imports/campus-import: succeeded",
        "twins in the graph: 30",
        "/jobs/deletions/",
        "twins in the graph: 0",
        "/api/jobs/import/broken-model-import: failed",
        "DTDLParsingError, seen in ",
        "GET /jobs/imports/no-such-job → 404, x-ms-error-code: ImportJobNotFound",
        'adt_jobs_finished_total{error_code="DTDLParsingError",kind="import",status="failed"} 1.0',
        "all with the gateway's token, none too early",
        "the app's trace: ",
    ]
    places = [out.find(text) for text in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)


async def test_a_demo_that_is_stopped_has_failed() -> None:
    """A scenario that did not come to its end is no success, whoever ended it."""
    async with demo("--once") as process, asyncio.timeout(WITHIN):
        assert process.stdout is not None
        while b"1. An import job" not in await process.stdout.readline():
            continue
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().strip() == "The demo did not go as it should: it was stopped before its end"


async def test_an_environment_that_breaks_it() -> None:
    """What cannot be honoured is one line and exit code 2, not a traceback."""
    code, _, err = await run("--once", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not supported")


async def test_a_demo_that_goes_wrong_says_so() -> None:
    """The scenario judges what it sees: an error in place of a job is a failure."""
    async with running_azure() as azure:
        azure.wrong(kind="html-502", path="/jobs", times=None)
        addresses = Addresses(data=azure.gateway.data, admin=azure.gateway.admin)
        scenario = Scenario(Console(file=io.StringIO()), azure.cloud.url, addresses)
        with pytest.raises(DemoFailed, match=r"PUT /jobs/imports/campus-import: .*BadGateway"):
            await scenario.run()
