"""Tests that leave something behind or tell a secret: `test_standing.py` sees each of them caught.

The file's name keeps pytest from running it with the others.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.otlp import otlp_receiver
from tests.support.standing import files
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import MODELS, ask

TOKEN = "canary-token-of-the-gateway"
OWN = {"mode": "static", "static": {"token": TOKEN}}
ISSUED = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0xyz.c2lnbmF0dXJl"
KEPT: list[object] = []
OVER = threading.Event()
GROWTH = 100 * 1_048_576


@asynccontextmanager
async def both() -> AsyncIterator[tuple[RunningGateway, FaultUpstream]]:
    """A gateway with a token of its own, and its upstream."""
    async with fault_upstream() as upstream, running_gateway(upstream.origin, auth=OWN) as gateway:
        yield gateway, upstream


@pytest.fixture(scope="module", autouse=True)
def _end() -> Iterator[None]:
    yield
    OVER.set()


async def test_a_task_that_runs_on() -> None:
    KEPT.append(asyncio.ensure_future(asyncio.Event().wait()))
    await asyncio.sleep(0)


def test_a_file_that_stays_open() -> None:
    KEPT.append(Path(__file__).open())  # noqa: SIM115 - it is to stay open


async def test_a_connection_that_stays_open() -> None:
    async with both() as (gateway, _):
        KEPT.append(socket.create_connection(gateway.address))


def test_a_thread_that_runs_on() -> None:
    threading.Thread(target=OVER.wait, daemon=True).start()


def test_memory_that_grows() -> None:
    KEPT.append(os.urandom(GROWTH))


@pytest.mark.large("what the mark is for")
def test_memory_that_may_grow() -> None:
    KEPT.append(os.urandom(GROWTH))


async def test_a_failure_that_nobody_awaits() -> None:
    async def fails() -> None:
        raise ValueError("nobody hears this")

    await asyncio.wait((asyncio.ensure_future(fails()),))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dead() -> AsyncIterator[RunningGateway]:
    """A gateway for the module, whose data listener a test makes deaf."""
    async with fault_upstream() as upstream, running_gateway(upstream.origin) as gateway:
        yield gateway


@pytest.mark.asyncio(loop_scope="module")
async def test_a_dead_data_listener(dead: RunningGateway) -> None:
    loop = asyncio.get_running_loop()
    for number in (number for number, name in files().items() if name.startswith("socket:")):
        with socket.socket(fileno=os.dup(number)) as end:
            if end.getsockname() == dead.address and end.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                loop.remove_reader(number)


async def test_a_secret_in_the_log() -> None:
    async with both() as (gateway, _):
        gateway.log.write(TOKEN)


async def test_an_issued_token_in_the_log() -> None:
    async with both() as (gateway, _):
        gateway.log.write(ISSUED)


async def test_a_secret_in_a_library_s_log() -> None:
    async with both():
        logging.getLogger("library").error(TOKEN)


async def test_a_secret_on_stdout() -> None:
    async with both():
        print(TOKEN)  # noqa: T201 - it is what is tested


async def test_a_secret_in_an_answer() -> None:
    async with both() as (gateway, upstream):
        upstream.on("/models", faults.reply(200, TOKEN.encode()))
        await ask(gateway, MODELS)


async def test_a_secret_in_another_header_upstream() -> None:
    async with both() as (gateway, _):
        await ask(gateway, MODELS, headers=[(b"x-other", TOKEN.encode())])


async def test_a_secret_in_a_span() -> None:
    async with otlp_receiver() as receiver, fault_upstream() as upstream:
        tracing = {"endpoint": receiver.url}
        async with running_gateway(upstream.origin, tracing=tracing, auth=OWN) as gateway:
            await ask(gateway, MODELS, headers=[(b"user-agent", TOKEN.encode())])


async def test_a_secret_on_the_page() -> None:
    job = b'{"id": "%b", "status": "running", "createdDateTime": "2026-01-01T00:00:00Z"}' % TOKEN.encode()
    async with both() as (gateway, upstream):
        upstream.default = faults.reply(200, job, [(b"content-type", b"application/json")])
        await ask(gateway, f"/jobs/imports/{TOKEN}?api-version=2023-10-31")


async def test_a_secret_in_the_store(tmp_path: Path) -> None:
    jobs = {"store": f"sqlite://{tmp_path / 'jobs.db'}"}
    async with fault_upstream() as upstream, running_gateway(upstream.origin, auth=OWN, jobs=jobs):
        (tmp_path / "jobs.db-note").write_text(TOKEN)


async def test_nothing_is_left_and_nothing_told() -> None:
    async with both() as (gateway, upstream):
        assert (await ask(gateway, MODELS)).status == 200
        assert TOKEN.encode() in upstream.last.head
