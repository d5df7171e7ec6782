"""Gateways that share a store: started, killed, started again on the same ports, and what they say."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field

from tests.bench import processes
from tests.stress.azure import VERSION, Azure, send
from tests.stress.gateway import Gateway, Scrape
from tests.stress.pollers import CUT, REFUSED, Failure, Polled, Polling
from tests.stress.stage import Process, Stage
from tests.support.issuer import Issuer

SIZE = 8
_FINAL = {"succeeded", "failed", "cancelled"}
_AT_KILL = 0.1
"""Seconds before a kill is noted in which what it cut may have been seen to break."""


@dataclass(slots=True)
class Life:
    """A gateway from its start to its end."""

    gateway: Gateway
    stack: AsyncExitStack


@dataclass(frozen=True, slots=True)
class Gone:
    """A gateway was killed, and answered again."""

    port: int
    at: float
    back: float


@dataclass(slots=True)
class Fleet:
    """Gateways by their place; one that was killed has None."""

    stage: Stage
    azure: Azure
    issuer: Issuer
    collector: Process
    settings: dict[str, str]
    ports: list[int]
    lives: list[Life | None] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    _killed: dict[int, float] = field(default_factory=dict)

    async def start(self, place: int) -> None:
        """Start the gateway of this place, up to its readiness. Raises NotReadyError."""
        stack = AsyncExitStack()
        settings = {**self.settings, "LISTEN__PORT": str(self.ports[place])}
        gateway = await stack.enter_async_context(
            self.stage.gateway(self.azure.process, self.issuer, self.collector, settings=settings)
        )
        self.lives[place] = Life(gateway, stack)
        if place in self._killed:
            self.gone.append(Gone(self.ports[place], self._killed.pop(place), time.time()))

    async def kill(self, place: int) -> None:
        """SIGKILL, if there is one."""
        life, self.lives[place] = self.lives[place], None
        if life is None:
            return
        self._killed[place] = time.time()
        life.gateway.process.kill()
        await life.gateway.ended()
        await life.stack.aclose()

    @property
    def alive(self) -> list[Gateway]:
        """Those that run."""
        return [life.gateway for life in self.lives if life is not None]

    async def scrapes(self) -> list[Scrape]:
        """What /metrics says, of all that run."""
        return list(await asyncio.gather(*(gateway.scrape() for gateway in self.alive)))

    async def total(self, name: str, **labels: str) -> float:
        """Sum of a metric over all that run."""
        return sum(scrape.total(name, **labels) for scrape in await self.scrapes())

    async def until_up(self, within: float = 60.0) -> float:
        """Until all reach the store; how many seconds that took. Raises TimeoutError."""
        began = time.perf_counter()
        async with asyncio.timeout(within):
            while await self.total("adt_gateway_fleet_store_up") < len(self.lives):  # noqa: ASYNC110 - elsewhere
                await asyncio.sleep(0.05)
        return time.perf_counter() - began

    async def poll(self, targets: Sequence[str], apps: int, seconds: float, pause: float) -> Polled:
        """A load of apps, spread over the gateways, to its end."""
        plan = Polling(self.ports, targets, apps, seconds, pause)
        async with self.stage.running("tests.stress.pollers", json.dumps(asdict(plan))) as process:
            printed, _ = await process.communicate()
        return Polled.read(printed)

    async def ends(self) -> Counter[str]:
        """How often the end of each job was told to the collector."""
        return Counter(await self.collector.ask("/ends"))

    async def imports(self, seconds: float) -> list[str]:
        """Import after import through any gateway, for so long; the ids of those that were seen to end."""
        until, chance, ended = time.perf_counter() + seconds, random.Random(2), list[str]()  # noqa: S311 - no secret
        while time.perf_counter() < until:
            name = f"job-{len(ended)}"
            await self._import(name, chance)
            ended.append(name)
        return ended

    async def _import(self, name: str, chance: random.Random) -> None:
        """Create a job and follow it to its end, as an app does that tries again until it succeeds."""
        target, body, created = f"/jobs/imports/{name}?{VERSION}", self.azure.wanted(name), False
        while True:
            method = "GET" if created else "PUT"
            try:
                status, answer = await send(
                    chance.choice(self.ports), method, target, None if created else body
                )
            except OSError:
                status, answer = 0, b""
            if method == "GET" and status == 200 and json.loads(answer)["status"] in _FINAL:
                return
            # 409: an attempt before, whose answer was lost, has created it.
            created = status in {201, 409} if method == "PUT" else status != 404
            await asyncio.sleep(1.0 if created else 0.3)


def unexcused(failures: Sequence[Failure], gone: Sequence[Gone]) -> list[Failure]:
    """Those that no kill of the gateway that was asked explains."""

    def was_gone(failure: Failure) -> bool:
        of = [each for each in gone if each.port == failure.port]
        return any(failure.ended >= each.at - _AT_KILL and failure.began <= each.back for each in of)

    return [each for each in failures if not (each.what in {CUT, REFUSED} and was_gone(each))]


@asynccontextmanager
async def fleet(
    stage: Stage, azure: Azure, url: str, *, size: int = SIZE, more: dict[str, str] | None = None
) -> AsyncIterator[Fleet]:
    """So many gateways, ready and at the store."""
    settings = {"FLEET__URL": url, "FLEET__EXPECTED_SIZE": str(size), **(more or {})}
    async with Issuer() as issuer, stage.collector() as collector:
        ports = [processes.free_port() for _ in range(size)]
        there = Fleet(stage, azure, issuer, collector, settings, ports, [None] * size)
        try:
            await asyncio.gather(*(there.start(place) for place in range(size)))
            await there.until_up()
            yield there
        finally:
            lives = [life for life in there.lives if life is not None]
            await asyncio.gather(*(life.stack.aclose() for life in lives))
