"""Gateways of a fleet that know jobs together, and tell their ends."""

import asyncio
import json
import random
from collections import Counter

from gateway.config import Jobs
from gateway.jobs import FinishedJob, JobObserver, Ledger
from gateway.jobs.fleet_ledger import FleetLedger
from gateway.jobs.stores import MemoryStore
from tests.support.job_answers import exchange
from tests.support.peers import Meeting, MemoryPeers
from tests.support.stores import KeepingStore
from tests.support.virtual_time import VirtualLoop

TOLD_WITHIN = 10.0
"""Seconds after which an end that somebody knows of has been told."""


class Office:
    """A ledger in a fleet, and what it told."""

    def __init__(
        self, meeting: Meeting, store: KeepingStore | None = None, peers: MemoryPeers | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.told: list[FinishedJob] = []
        self.peers = peers or meeting.join()
        self.shared = FleetLedger(
            self.peers,
            tell=self.told.append,
            timers=loop,
            chance=random.Random(len(meeting.members)),  # noqa: S311 - chance that can be repeated
            clock=loop.wall,
        )
        self.ledger = Ledger(
            Jobs(),
            clock=loop.wall,
            on_finished=self.told.append,
            store=store or MemoryStore(),
            shared=self.shared,
        )
        self._observer = JobObserver(self.ledger)
        self._clock = loop.wall

    async def open(self) -> "Office":
        await self.shared.open(self.ledger)
        return self

    def sees(self, *jobs: dict[str, object], operation: str = "list") -> None:
        """An answer passes by."""
        job_id = None if operation == "list" else str(jobs[0]["id"])
        body = json.dumps({"value": jobs} if operation == "list" else jobs[0]).encode()
        passing = exchange("import", operation, job_id, asked=self._clock())
        self._observer.observe(passing, 200, [], body)

    def status(self, job_id: str) -> str | None:
        record = self.ledger.get("import", job_id)
        return None if record is None else record.status


async def offices(meeting: Meeting, count: int = 3) -> list[Office]:
    return [await Office(meeting).open() for _ in range(count)]


def told(*all_of_them: Office) -> Counter[str]:
    return Counter(end.id for office in all_of_them for end in office.told)


async def close(*all_of_them: Office) -> None:
    for office in all_of_them:
        await office.shared.aclose()
