"""Apps that leave by the thousand, at any moment: who comes after them is served as if they had not come."""

import asyncio
import random
from collections import Counter

import pytest

from tests.support import faults
from tests.support.engines import every_engine
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import raw_client
from tests.support.upstream import Call, FaultUpstream, fault_upstream
from tests.support.wire import ask, request, sample, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

REQUESTS = {"pyreqwest": 20_000, "asyncio": 20_000, "httpx": 4_000}
"""The pure Python engine makes a connection for each, which takes it five times as long."""
LEAVE = 0.7
"""Share of those who leave before their answer."""
POOL = 10
CROWDS = (12, 60)
"""Apps at once: of the few most leave while they are answered, of the many while they wait for a turn."""
AFTERWARDS = 100
SEED = 20260301
SHAPES = {
    "GET": request("/digitaltwins/t1"),
    "PUT": request("/digitaltwins/t2", "PUT", body=b'{"$metadata": {}}'),
    "POST": request("/query", "POST", body=b'{"query": "SELECT * FROM digitaltwins"}'),
    "unfinished": request("/digitaltwins/t3", "PUT", [(b"Content-Length", b"1000")]) + b"{",
}
"""Requests as bytes; the last one is never sent to its end, so its app always leaves."""
WEIGHTS = (7, 1, 1, 1)
"""Mostly reads: what a write took is freed by its end, what a read took by its app's leaving."""


class Storm:
    """Apps that ask, each over connections of its own, and leave when they like."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.came_to = Counter[str]()
        """How the requests ended."""
        self._gateway = gateway
        self._left_to_ask = 0
        self._chance = random.Random(SEED)  # noqa: S311 - the seed makes the run repeatable

    async def rage(self, requests: int, apps: int) -> None:
        """So many requests, by so many apps at once."""
        self._left_to_ask = requests
        await asyncio.gather(*(self._app() for _ in range(apps)))

    async def _app(self) -> None:
        while self._left_to_ask > 0:
            self._left_to_ask -= 1
            [kind] = self._chance.choices(list(SHAPES), WEIGHTS)
            leaves = kind == "unfinished" or self._chance.random() < LEAVE
            # From before the request is read to after its answer was given.
            patience = self._chance.choice((0.0, 0.002, 0.005, 0.01, 0.02)) if leaves else None
            self.came_to[await self._asked(SHAPES[kind], patience)] += 1

    async def _asked(self, data: bytes, patience: float | None) -> str:
        async with raw_client(*self._gateway.address) as client:
            await client.send(data)
            try:
                async with asyncio.timeout(patience):
                    return str((await client.response()).status)
            except TimeoutError:
                return "left"


async def _answers_in_a_while(call: Call) -> None:
    """Some at once, some later, some in two pieces, so that apps leave at every stage."""
    await call.body()
    pause = (len(call.request.head) + call.nth) % 3
    await asyncio.sleep(pause * 0.005)
    await call.send_head(200, [(b"Content-Length", b"10")])
    await call.send(b"hello")
    await asyncio.sleep(pause * 0.005)
    await call.send(b"world")


@every_engine
@pytest.mark.large("20,000 requests fill what is kept of the latest")
async def test_cancel_storm(engine: str) -> None:
    """Seven of ten leave at a random moment; of a hundred who come after, a hundred get their answer."""
    async with fault_upstream(_answers_in_a_while) as upstream:
        pool = {"engine": engine, "max_connections": POOL, "max_queued": 5_000, "timeout": {"pool": 60}}
        async with running_gateway(upstream.origin, upstream=pool) as gateway:
            storm = Storm(gateway)
            for crowd in CROWDS:
                await storm.rage(REQUESTS[engine] // len(CROWDS), crowd)
            assert storm.came_to.total() == REQUESTS[engine]
            assert storm.came_to["left"] > REQUESTS[engine] * LEAVE / 2
            assert set(storm.came_to) <= {"left", "200"}
            await _calm(gateway)
            await _all_slots_are_free(gateway, upstream)
            answers = await asyncio.gather(*(ask(gateway) for _ in range(AFTERWARDS)))
            assert [(answer.status, answer.body) for answer in answers] == [(200, b"helloworld")] * AFTERWARDS


async def _calm(gateway: RunningGateway) -> None:
    """Until nobody who left is in flight any more."""

    async def nobody() -> bool:
        lines = [
            f'http_server_active_requests{{http_request_method="{method}"}}' for method in ("PUT", "POST")
        ]
        return not any([await sample(gateway, line) for line in lines])

    await until(nobody)


async def _all_slots_are_free(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """As many as the pool is large are with the upstream at the same time."""
    upstream.requests.clear()
    everybody = asyncio.Event()
    upstream.on("/gated", faults.gated(everybody, faults.reply(200)))
    asking = [asyncio.create_task(ask(gateway, "/gated")) for _ in range(POOL)]
    try:
        await upstream.received(POOL)
        # Those that were given up run on for a moment; beyond twice the pool there is nobody.
        assert upstream.open <= 2 * POOL
    finally:
        everybody.set()
    assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * POOL
