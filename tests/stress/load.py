"""Requests at a steady rate, whatever becomes of those before; a process of its own.

    python -m tests.stress.load PLAN

PLAN is the JSON of a `Plan`; prints the JSON of a `Result`. A request's time counts from when it was due, so
that a gateway that stalls is not spared the requests that it kept from being sent.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import uvloop

from tests.stress.client import App, connect, request_bytes

BROKEN = "no whole answer"
LEFT = "left"
_STALE = 30.0
"""A connection that was not used for so long is not used again: the gateway may be closing it."""
_ANSWERED_WITHIN = 100.0


@dataclass(frozen=True, slots=True)
class Shot:
    """A kind of request."""

    name: str
    target: str
    """`{n}` stands for a number below `ids`, the next each time."""
    method: str = "GET"
    weight: float = 1.0
    ids: int = 1
    body: int | None = None
    """Size of the request's body."""
    wanted: str = "200"
    """The name of the answer that is right."""
    leave: float | None = None
    """Break the connection after so many seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A load."""

    port: int
    rate: float
    """Requests a second."""
    seconds: float
    shots: Sequence[Shot]
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    outcomes: Mapping[str, Mapping[str, int]]
    """By shot and answer."""
    times: Mapping[str, Sequence[float]]
    """Seconds by shot, of right answers."""
    wrong: Sequence[str] = field(default_factory=list)
    """The first wrong answers, in words."""

    @property
    def requests(self) -> int:
        return sum(sum(each.values()) for each in self.outcomes.values())


class _Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)  # noqa: S311 - no secret
        self._free: list[App] = []
        self._numbers: Counter[str] = Counter()
        self.outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.wrong: list[str] = []

    async def run(self) -> None:
        plan = self._plan
        weights = [shot.weight for shot in plan.shots]
        began = time.perf_counter()
        under_way: set[asyncio.Task[None]] = set()
        for number in range(round(plan.rate * plan.seconds)):
            due = began + number / plan.rate
            await asyncio.sleep(due - time.perf_counter())
            [shot] = self._chance.choices(plan.shots, weights)
            task = asyncio.ensure_future(self._fire(shot, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    async def _fire(self, shot: Shot, due: float) -> None:
        outcome = await self._ask(shot)
        self.outcomes[shot.name][outcome] += 1
        if outcome == shot.wanted:
            self.times[shot.name].append(round(time.perf_counter() - due, 6))
        elif len(self.wrong) < 20:
            self.wrong.append(f"{shot.method} {shot.target} at {due:.3f}: {outcome}")

    async def _ask(self, shot: Shot) -> str:
        number = self._numbers[shot.name] = self._numbers[shot.name] + 1
        body = None if shot.body is None else b"x" * shot.body
        target = shot.target.replace("{n}", str(number % shot.ids))
        request_id = str(UUID(int=self._chance.getrandbits(128)))
        request = request_bytes(self._plan.port, target, shot.method, body=body, request_id=request_id)
        try:
            app = await self._connection()
        except OSError:
            return "refused"
        try:
            async with asyncio.timeout(shot.leave or _ANSWERED_WITHIN):
                answer = await app.ask(request)
        except (ConnectionError, TimeoutError) as error:
            app.transport.abort()
            return BROKEN if shot.leave is None or isinstance(error, ConnectionError) else LEFT
        if app.usable:
            self._free.append(app)
        else:
            app.transport.close()
        return answer.name

    async def _connection(self) -> App:
        while self._free:
            app = self._free.pop()
            if app.usable and time.perf_counter() - app.since < _STALE:
                return app
            app.transport.close()
        return await connect(self._plan.port)


async def _run(plan: Plan) -> Result:
    load = _Load(plan)
    await load.run()
    outcomes = {name: dict(counts) for name, counts in load.outcomes.items()}
    return Result(outcomes, dict(load.times), load.wrong)


def plan_of(text: str) -> Plan:
    """A plan from its JSON."""
    document: dict[str, Any] = json.loads(text)
    return Plan(**{**document, "shots": [Shot(**shot) for shot in document["shots"]]})


def main() -> None:
    """The command line above."""
    json.dump(asdict(uvloop.run(_run(plan_of(sys.argv[1])))), sys.stdout)


if __name__ == "__main__":
    main()
