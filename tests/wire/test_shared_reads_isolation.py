"""Fifty pollers over twenty jobs, many of which leave at any moment: nobody gets what is another's."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.support.gateway import RunningGateway
from tests.support.raw import RawResponse
from tests.support.sharing import (
    CACHE_STATUS,
    JobsService,
    abandon,
    import_target,
    sharing_gateway,
    under_way,
)
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import ask

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

IDS = [f"job-{number}" for number in range(20)]
POLLERS, POLLS = 50, 12
LEAVE = 0.4
"""Share of the polls whose caller may leave before its answer."""
SEED = 20260301


@dataclass
class Storm:
    """Pollers, and what came of them."""

    gateway: RunningGateway
    chance: random.Random
    crossed: list[str] = field(default_factory=list)
    how: Counter[bytes] = field(default_factory=Counter)

    async def poller(self, number: int) -> None:
        """Read jobs, one after the other, each as somebody else."""
        for turn in range(POLLS):
            await self.poll(f"{number}-{turn}", self.chance.choice(IDS))

    async def poll(self, name: str, job_id: str) -> None:
        """Read a job, or leave before it is there."""
        headers = [(b"x-ms-client-request-id", name.encode())]
        reading = asyncio.create_task(ask(self.gateway, import_target(job_id), headers=headers))
        if self.chance.random() < LEAVE:
            await asyncio.sleep(self.chance.uniform(0, 0.03))
        else:
            await reading
        if not reading.done():
            self.how[b"left"] += 1
            await abandon(reading)
            return
        answer = reading.result()
        self.how[answer.value(CACHE_STATUS) or b""] += 1
        if not _is_for(answer, name.encode(), job_id):
            self.crossed.append(f"{name} asked for {job_id}: {answer}")


def _is_for(answer: RawResponse, name: bytes, job_id: str) -> bool:
    """Whether the answer is a whole one, of that job, and about nobody but that caller."""
    return (
        (answer.status, answer.complete) == (200, True)
        and json.loads(answer.body)["id"] == job_id
        and answer.value(b"x-ms-client-request-id") == name
        and set(answer.values(b"set-cookie")) <= {b"session=" + name}
    )


async def test_no_answer_is_crossed(engine: str, upstream: FaultUpstream) -> None:
    """Kept, shared, batched or fetched: an answer is of the job that was asked for, and of nobody else."""
    chance = random.Random(SEED)  # noqa: S311 - a storm that can be had again
    service = JobsService(*IDS[:15])

    async def takes_its_time(call: Call) -> None:
        await asyncio.sleep(chance.uniform(0, 0.01))
        await service(call)

    upstream.default = takes_its_time
    jobs = {"rate": 150, "max_staleness": 0.2, "max_wait": 60}
    async with sharing_gateway(upstream.origin, engine=engine, jobs=jobs) as gateway:
        storm = Storm(gateway, chance)
        await asyncio.gather(*(storm.poller(number) for number in range(POLLERS)))
        await under_way(gateway, 0)
        assert (await ask(gateway, import_target("after"))).status == 200
    assert storm.crossed == []
    assert sum(storm.how.values()) == POLLERS * POLLS
    for part in (b"left", b"hit", b"collapsed", b"batched"):
        assert any(part in kind for kind in storm.how), storm.how
    assert len(upstream.requests) < POLLERS * POLLS
