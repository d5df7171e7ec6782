"""What every row works with: upstream, collector, issuer and gateways, each on its core."""

import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench import processes
from tests.stress.client import fetch
from tests.stress.gateway import Gateway, gateway_process
from tests.stress.load import Plan, Result, Shot
from tests.support.issuer import Issuer

UNPACED: Mapping[str, str] = {"JOBS__RATE": "0", "JOBS__COALESCE": "false", "JOBS__WATCH": "off"}
TWIN = Shot("twin", "/digitaltwins/t{n}?api-version=2023-10-31", ids=100)


@dataclass(slots=True)
class Process:
    """A process of ours that serves; it listens on `port` of 127.0.0.1."""

    process: asyncio.subprocess.Process
    port: int = 0

    async def ask(self, target: str) -> Any:
        """The JSON it answers with."""
        return json.loads((await fetch(self.port, target))[1])


@dataclass(frozen=True, slots=True)
class Crowd:
    """A process of `tests.stress.crowd`."""

    process: asyncio.subprocess.Process

    async def told(self) -> dict[str, Any]:
        """What came of its connections."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(b"tell\n")
        told: dict[str, Any] = json.loads(await stdout.readline())
        return told


@dataclass(slots=True)
class Stage:
    """The place where rows are run; `say` shows what is done."""

    quick: bool
    folder: Path
    """For logs; gone after the run."""
    say: Callable[[str], None]
    minutes: float
    """Of the soak."""
    gateway_cores: set[int]
    load_cores: set[int]
    faults: list[str]
    """What gateways logged as bugs of theirs."""
    _gateways: int = 0

    def pick(self, whole: float, quick: float) -> float:
        """How much of something is done."""
        return quick if self.quick else whole

    @asynccontextmanager
    async def upstream(self) -> AsyncIterator[Process]:
        """An upstream of `tests.stress.upstream`."""
        async with self.running("tests.stress.upstream") as process:
            yield await _serving(process)

    @asynccontextmanager
    async def collector(self, status: int = 200, seconds: float = 0.0) -> AsyncIterator[Process]:
        """A trace collector that answers with that status after so long."""
        async with self.running("tests.stress.collector", str(status), str(seconds)) as process:
            yield await _serving(process)

    @asynccontextmanager
    async def gateway(
        self,
        upstream: Process,
        issuer: Issuer | str,
        collector: Process | int,
        *,
        engine: str = "pyreqwest",
        ready: str = "/readyz",
        watched: bool = False,
        settings: Mapping[str, str] = UNPACED,
    ) -> AsyncIterator[Gateway]:
        """A gateway with all its duties, ready; `issuer` may be a token URL, `collector` a port."""
        self._gateways += 1
        token_url = issuer if isinstance(issuer, str) else issuer.url
        port = collector if isinstance(collector, int) else collector.port
        keys = {
            "UPSTREAM__BASE_URL": f"http://127.0.0.1:{upstream.port}",
            "UPSTREAM__ENGINE": engine,
            "LISTEN__PORT": "0",
            "ADMIN__PORT": "0",
            "LIMITS__DRAIN_DELAY": "0",
            "AUTH__MODE": "oauth2",
            "AUTH__OAUTH2__TOKEN_URL": token_url,
            "AUTH__OAUTH2__CLIENT_ID": "stress",
            "AUTH__OAUTH2__CLIENT_SECRET": "right-secret",
            "TRACING__ENDPOINT": f"http://127.0.0.1:{port}/v1/traces",
            **settings,
        }
        log = self.folder / f"gateway-{self._gateways}.log"
        async with gateway_process(
            keys, cores=self.gateway_cores, log=log, ready=ready, watched=watched
        ) as gateway:
            yield gateway
        self.faults += gateway.faults()
        log.unlink()

    @asynccontextmanager
    async def running(self, module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """One of our programs on the load's cores, with pipes; ended after the block."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=processes.ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 26,
        )
        try:
            processes.pin(process.pid, self.load_cores)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @asynccontextmanager
    async def crowd(self, gateway: Gateway, count: int, way: str) -> AsyncIterator["Crowd"]:
        """Connections of `tests.stress.crowd`, all of which were opened."""
        async with self.running("tests.stress.crowd", str(gateway.data), str(count), way) as process:
            assert process.stdout is not None
            await process.stdout.readline()
            yield Crowd(process)

    async def load(
        self, gateway: Gateway, rate: float, seconds: float, *shots: Shot, seed: int = 1
    ) -> Result:
        """A steady load, to its end."""
        plan = Plan(gateway.data, rate, seconds, shots or (TWIN,), seed)
        async with self.running("tests.stress.load", json.dumps(asdict(plan))) as process:
            printed, _ = await process.communicate()
        return Result(**json.loads(printed))


async def _serving(process: asyncio.subprocess.Process) -> Process:
    assert process.stdout is not None
    return Process(process, int(await process.stdout.readline()))


def settle_down() -> tuple[set[int], set[int]]:
    """Keep this process on the load's cores; the gateway's cores and those."""
    gateway_cores, load_cores = processes.cores_apart()
    processes.pin(os.getpid(), load_cores)
    return gateway_cores, load_cores


def unwanted(result: Result, shots: Sequence[Shot]) -> int:
    """Answers that were not the right ones."""
    right = {shot.name: shot.wanted for shot in shots}
    return sum(
        count
        for name, outcomes in result.outcomes.items()
        for outcome, count in outcomes.items()
        if outcome != right[name]
    )


def percentile(times: Sequence[float], share: float) -> float:
    """In milliseconds; 0 for no times."""
    if len(times) < 2:
        return max(times, default=0.0) * 1_000
    return statistics.quantiles(times, n=1_000, method="inclusive")[round(share * 1_000) - 1] * 1_000
