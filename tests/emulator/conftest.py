"""A running emulator on a real socket, its clock, and a client for it."""

import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.emulator import RunningEmulator, create_emulator, running_emulator
from tests.emulator.support import OPEN, VERSION, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def running(clock: ManualClock) -> AsyncIterator[RunningEmulator]:
    async with running_emulator(OPEN, clock=clock) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """One context for all clients: making it is most of what a client costs."""
    return ssl.create_default_context()


@pytest.fixture
async def http(running: RunningEmulator, tls: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    """Sends api-version with everything; replaces the query of a URL that has one."""
    async with httpx.AsyncClient(base_url=running.url, params={"api-version": VERSION}, verify=tls) as client:
        yield client


@pytest.fixture
async def local(clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    """The same without a socket, for tests of what an operation does and not of how it travels."""
    transport = httpx.ASGITransport(create_emulator(OPEN, clock=clock).app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://adt", params={"api-version": VERSION}
    ) as client:
        yield client


@pytest.fixture
async def bare(running: RunningEmulator, tls: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
    """Sends what it is told and nothing else."""
    async with httpx.AsyncClient(base_url=running.url, verify=tls) as client:
        yield client
