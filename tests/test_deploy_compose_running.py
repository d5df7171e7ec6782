"""The Compose file's services as real processes, in one network namespace and with the ports of the file."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.commands import child_of
from tests.support.compose import Compose, Stage
from tests.support.dockerfile import described
from tests.support.network import own_network
from tests.support.otlp import OtlpReceiver
from tests.support.programs import require_program
from tests.support.rootfs import program_root, shared_place

ROOT = Path(__file__).parent.parent
COMPOSE = Compose.read(ROOT / "deploy/compose/compose.yaml")
ENDPOINT = urlsplit(COMPOSE.services["gateway"]["environment"]["ADT_GATEWAY_TRACING__ENDPOINT"])
NAMES = "127.0.0.1 localhost gateway jaeger prometheus\n"
COUNTED = re.compile(r'^adt_gateway_error_responses_total{.*error_code="(\w+)".*} [1-9]', re.MULTILINE)

__all__ = ["shared_place"]
"""A fixture."""


@pytest.fixture
def stage(shared_place: Path, tmp_path: Path) -> Stage:
    """A root with the program where the image has it, services' names that lead to loopback, and volumes."""
    root = program_root(shared_place, tmp_path / "root")
    hosts = tmp_path / "hosts"
    hosts.write_text(NAMES)
    volumes = tmp_path / "volumes"
    for name in COMPOSE.document["volumes"]:
        (volumes / name).mkdir(parents=True)
        (volumes / name).chmod(0o777)
    image = described((ROOT / "deploy/docker/Dockerfile").read_text(), root)
    return Stage(COMPOSE, root.bound(hosts, "/etc/hosts"), image, volumes)


@asynccontextmanager
async def jaeger() -> AsyncIterator[OtlpReceiver]:
    """Spans are received where Jaeger would receive them."""
    receiver = OtlpReceiver()
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", ENDPOINT.port):
        yield receiver


async def eventually(holds: Callable[[], Awaitable[Any]], within: float = 180) -> None:
    """Wait until something holds; a server that does not answer yet does not hold."""
    async with asyncio.timeout(within):
        while True:
            with suppress(httpx.TransportError):
                if await holds():
                    return
            await asyncio.sleep(0.1)


class Look:
    """What a person sees from the host, who here is on loopback too."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ended(self) -> set[tuple[str, str]]:
        """Kinds of jobs, and how they ended."""
        answer = await self._client.get("http://127.0.0.1:9464/api/jobs")
        return {(job["kind"], job["status"]) for job in answer.json()["value"] if job["status"] != "running"}

    async def codes(self) -> set[str]:
        """Error codes that were counted."""
        text = (await self._client.get("http://127.0.0.1:9464/metrics")).text
        return set(
            re.findall(
                r'^adt_gateway_error_responses_total{.*error_code="(\w+)".*} [1-9]', text, re.MULTILINE
            )
        )

    async def scraped(self) -> bool:
        """Whether Prometheus has metrics of the gateway."""
        query = {"query": 'adt_gateway_build_info{job="adt-gateway"}'}
        answer = await self._client.get("http://127.0.0.1:9090/api/v1/query", params=query)
        return bool(answer.json()["data"]["result"])


async def ended(process: "Popen[str]", name: str) -> int:
    """The exit code after SIGTERM to the service's first process."""
    first = child_of(process.pid, name)
    assert first is not None
    os.kill(first, signal.SIGTERM)
    return await asyncio.to_thread(process.wait, 40)


def in_one_trace(receiver: OtlpReceiver) -> bool:
    """Whether a job's span of the gateway is in a trace that the app began."""
    begun = {span.trace_id for span in receiver.spans if span.name == "import campus"}
    ended = {span.trace_id for span in receiver.spans if span.name == "import job"}
    return bool(begun & ended)


@pytest.mark.slow
async def test_it_runs(stage: Stage) -> None:
    """Jobs end, errors are counted, Prometheus scrapes, and one trace leads from the app to a job's end."""
    prometheus = require_program("prometheus", "apt-get install prometheus")
    async with AsyncExitStack() as stack:
        stack.enter_context(own_network())
        receiver = await stack.enter_async_context(jaeger())
        look = Look(await stack.enter_async_context(httpx.AsyncClient(timeout=10)))
        gateway = stack.enter_context(stage.service("gateway"))
        await eventually(lambda: asyncio.to_thread(stage.healthy, "gateway"))
        emulator = stack.enter_context(stage.service("emulator"))
        await eventually(lambda: asyncio.to_thread(stage.healthy, "emulator"))
        app = stack.enter_context(stage.service("app"))
        stack.enter_context(stage.with_program(Path(prometheus)).service("prometheus"))

        wanted = {("import", "succeeded"), ("import", "failed"), ("deletion", "succeeded")}
        await eventually(lambda: _has(look.ended(), wanted))
        codes = {"JobLimitReached", "BadGateway", "TooManyRequests", "Forbidden", "DigitalTwinNotFound"}
        await eventually(lambda: _has(look.codes(), codes))
        await eventually(look.scraped)
        await receiver.wait_for(in_one_trace, 60)

        assert await ended(app, "python") == 0
        assert await ended(emulator, "python") == 0
        assert await ended(gateway, "python") == 0
    assert (stage.volumes / "jobs/jobs.db").is_file()


async def _has(found: Awaitable[set[Any]], wanted: set[Any]) -> bool:
    return await found >= wanted
