"""Gateways of a fleet that read jobs together, with an upstream that the test drives."""

import asyncio
import itertools
import json
import random
from dataclasses import dataclass, field

from gateway.config import Jobs
from gateway.exchange import Exchange
from gateway.jobs.governor import Governor, Priority
from gateway.jobs.reads import Caller, FleetReads, Given, ReadAnswer, SharedReads
from tests.support.desk import TRACE, key_of, read_of
from tests.support.peers import Meeting, MemoryPeers

SECONDS = 0.02
"""What the upstream takes."""


@dataclass
class Service:
    """The upstream of all of them; its list has the jobs `ids`."""

    asked: list[tuple[float, str, str]] = field(default_factory=list)
    """When, by whom, what."""
    ids: list[str] = field(default_factory=list)
    status: int = 200
    status_for: dict[str, int] = field(default_factory=dict)
    """What single gateways are answered instead."""
    seconds: float = SECONDS
    error: Exception | None = None

    async def answer(self, exchange: Exchange, by: str) -> ReadAnswer:
        """One read; the body tells its number."""
        loop = asyncio.get_running_loop()
        sent, path = loop.time(), exchange.raw_path.decode()
        self.asked.append((sent, by, path))
        number, error = len(self.asked), self.error
        status = self.status_for.get(by, self.status)
        await asyncio.sleep(self.seconds)
        if error is not None:
            raise error

        def job(job_id: str) -> dict[str, object]:
            return {"id": job_id, "status": "running", "read": number}

        collection, _, job_id = path.rpartition("/")
        is_list = collection == "/jobs"
        told = {"value": [job(each) for each in self.ids]} if is_list else job(job_id)
        body = json.dumps(told if status == 200 else {"error": {"code": "Wrong"}}).encode()
        headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=b")]
        return ReadAnswer(status, headers, body, sent, loop.time(), TRACE, job_id=None if is_list else job_id)

    @property
    def paths(self) -> list[str]:
        return [path for _, _, path in self.asked]

    @property
    def gaps(self) -> list[float]:
        return [after - before for (before, *_), (after, *_) in itertools.pairwise(self.asked)]


class Reader:
    """One gateway."""

    def __init__(self, name: str, service: Service, peers: MemoryPeers, **settings: object) -> None:
        self.name = name
        self.service = service
        self.peers = peers
        chance = random.Random(name)  # noqa: S311 - chance that can be repeated
        loop = asyncio.get_running_loop()
        jobs = Jobs.model_validate(settings)
        self.governor = Governor(
            rate=jobs.rate,
            burst=1,
            max_queued=1_000,
            timers=loop,
            on_wait=lambda _priority, _seconds: None,
            peers=peers,
            chance=chance,
        )
        self.reads = SharedReads(
            jobs,
            self.governor,
            timers=loop,
            throttled=lambda _answer, _priority: self.governor.pause(5),
            fleet=lambda forgotten: FleetReads(
                peers, self.governor, jobs, largest=100_000, timers=loop, chance=chance, forgotten=forgotten
            ),
        )

    def ask(self, job_id: str = "a", patience: float = 30.0, path: str = "") -> "asyncio.Task[Given]":
        """A caller."""
        exchange = read_of(path or f"/jobs/imports/{job_id}")

        async def fetch(read: Exchange) -> ReadAnswer:
            return await self.service.answer(read, self.name)

        caller = Caller(exchange, fetch, Priority.READ, patience)
        return asyncio.create_task(self.reads.answer(key_of(exchange), caller))

    async def dies(self) -> None:
        """All it did ends, and it tells nobody."""
        self.peers.is_cut_off = True
        await self.reads.aclose()
        await self.governor.aclose()


class Readers:
    """A fleet."""

    def __init__(self, size: int = 3, **settings: object) -> None:
        self.meeting = Meeting()
        self.service = Service(ids=["a", "b", "c", "d"])
        self.all = [
            Reader(f"gateway-{number}", self.service, self.meeting.join(size), **settings)
            for number in range(size)
        ]

    async def aclose(self) -> None:
        for reader in self.all:
            await reader.reads.aclose()
            await reader.governor.aclose()
