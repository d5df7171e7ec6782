"""The governors of a fleet: one rate for all of them, whoever asks, with a store and without."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.failures import RateLimited
from gateway.jobs.governor import Governor, Priority
from gateway.jobs.pace import PACE
from tests.support.peers import LATENCY, Meeting, MemoryPeers
from tests.support.virtual_time import in_virtual_time

SIZE = 8
CLOSE = pytest.approx


class Line:
    """Governors of one fleet, and when each of their turns was had."""

    def __init__(self, size: int = SIZE, burst: int = 1) -> None:
        self.meeting = Meeting()
        self.peers = [self.meeting.join(size) for _ in range(size)]
        self.turns: list[tuple[float, int]] = []
        self.governors = [
            Governor(
                rate=1.0,
                burst=burst,
                max_queued=1_000,
                timers=asyncio.get_running_loop(),
                on_wait=lambda _priority, _seconds: None,
                peers=peers,
                chance=random.Random(number),  # noqa: S311 - chance that can be repeated
            )
            for number, peers in enumerate(self.peers)
        ]

    async def want(self, which: int, turns: int = 1, wait: float = 1e6) -> None:
        """One after the other, so many turns for requests of one gateway."""
        for _ in range(turns):
            await self.governors[which].turn(Priority.READ, wait)
            self.turns.append((asyncio.get_running_loop().time(), which))

    @property
    def gaps(self) -> Sequence[float]:
        return [after - before for (before, _), (after, _) in itertools.pairwise(sorted(self.turns))]

    def of(self, which: int) -> Sequence[float]:
        return [at for at, who in self.turns if who == which]


@in_virtual_time
async def test_one_rate_for_all() -> None:
    """Eight gateways with much to send have one turn a second together, and go round."""
    line = Line()
    await asyncio.gather(*(line.want(which, 5) for which in range(SIZE)))
    assert min(line.gaps) >= PACE - 0.01
    assert max(line.gaps) <= PACE + 0.02
    for which in range(SIZE):
        waits = [after - before for before, after in itertools.pairwise(line.of(which))]
        assert max(waits) <= 2 * PACE * SIZE


@in_virtual_time
async def test_a_busy_gateway_takes_no_more_than_its_part() -> None:
    """One with a hundred requests and one with two: the second waits for one turn of the other's at most."""
    line = Line(2)
    busy = [asyncio.ensure_future(line.want(0)) for _ in range(100)]
    await asyncio.sleep(10)
    began = asyncio.get_running_loop().time()
    await line.want(1, 2)
    assert asyncio.get_running_loop().time() - began <= 4 * PACE + 0.1
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


@in_virtual_time
async def test_alone_in_the_fleet_it_has_the_whole_rate() -> None:
    """Nobody waits for those that want nothing."""
    line = Line()
    await line.want(0, 10)
    assert max(line.gaps) <= PACE + 0.02
    assert line.meeting.asked["reserve"] == 10


@in_virtual_time
async def test_a_batch_costs_one_turn() -> None:
    """Who is taken along by the one that has the turn leaves the line before another turn is reserved."""
    line = Line(1)
    governor = line.governors[0]
    await line.want(0)
    tickets = [governor.line_up(Priority.READ) for _ in range(5)]
    await tickets[0].granted
    for ticket in tickets[1:]:
        governor.withdraw(ticket)
    await asyncio.sleep(5)
    assert line.meeting.asked["reserve"] == 2


@in_virtual_time
async def test_a_turn_that_comes_too_late_lapses() -> None:
    """A gateway that stood still does not send at another's time: it reserves once more."""
    line = Line(2)
    await line.want(0)
    waiting = asyncio.ensure_future(line.want(1))
    await asyncio.sleep(0.1)
    with line.governors[1].using():
        await asyncio.sleep(2.5)
    await waiting
    assert line.meeting.asked["reserve"] == 3


class LateTimers:
    """A loop that is held up at each of its timers."""

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(when + 0.3, callback, *args)


@in_virtual_time
async def test_a_gateway_that_is_always_late_has_turns_too() -> None:
    """Its loop stands still for a while at each of its turns: it is let in later and later, not never."""
    governor = Governor(
        rate=1.0,
        burst=1,
        max_queued=10,
        timers=LateTimers(),
        on_wait=lambda _priority, _seconds: None,
        peers=Meeting().join(),
    )
    await governor.turn(Priority.READ, 100)
    await asyncio.wait_for(governor.turn(Priority.READ, 100), 10)


@in_virtual_time
async def test_what_takes_long_to_be_made_ready_needs_another_turn() -> None:
    """`using` says that the turn has lapsed, once others may have had theirs; not before."""
    line = Line(2)
    await line.want(0)
    with line.governors[0].using() as quick:
        await asyncio.sleep(0.05)
    await line.want(0)
    with line.governors[0].using() as slow:
        await asyncio.sleep(0.3)
    assert (quick.lapsed, slow.lapsed) == (False, True)


@in_virtual_time
async def test_a_pause_is_everybodys() -> None:
    """An upstream's 429 at one gateway holds all of them, and what they had reserved is void."""
    line = Line(4)
    tasks = [asyncio.ensure_future(line.want(which, 2)) for which in range(4)]
    await asyncio.sleep(0.5)
    line.governors[0].pause(30)
    paused = asyncio.get_running_loop().time()
    await asyncio.sleep(2 * LATENCY)
    assert [governor.paused_for for governor in line.governors] == [CLOSE(30, abs=0.01)] * 4
    await asyncio.gather(*tasks)
    later = [at for at, _ in sorted(line.turns)[1:]]
    assert min(later) >= paused + 30 - 0.01
    assert min(line.gaps[1:]) >= PACE - 0.01


@in_virtual_time
async def test_alone_each_has_its_share() -> None:
    """While the store is away each takes its part of the rate, and they do not begin together."""
    line = Line()
    await line.want(0)
    line.meeting.goes()
    left = asyncio.get_running_loop().time()
    await asyncio.gather(*(line.want(which, 5) for which in range(SIZE)))
    for which in range(SIZE):
        mine = [at for at in line.of(which) if at > left]
        assert mine[0] - left >= PACE - 0.01
        assert all(
            after - before == CLOSE(PACE * SIZE, abs=0.01) for before, after in itertools.pairwise(mine)
        )
    times = sorted(at for at, _ in line.turns if at > left)
    assert len(set(times)) == len(times)
    for start in times:
        assert sum(start <= at < start + 10 for at in times) <= 10 + SIZE


@in_virtual_time
async def test_back_without_a_storm() -> None:
    """When the store is back, empty, all go on with its turns; no gateway is faster than alone."""
    line = Line()
    line.meeting.goes()
    tasks = [asyncio.ensure_future(line.want(which, 6)) for which in range(SIZE)]
    await asyncio.sleep(20)
    line.meeting.returns(empty=True)
    back = asyncio.get_running_loop().time()
    await asyncio.gather(*tasks)
    times = sorted(at for at, _ in line.turns if at > back)
    assert len(times) >= SIZE
    assert min(after - before for before, after in itertools.pairwise(times)) >= PACE - 0.02
    for which in range(SIZE):
        assert all(after - before >= PACE * 0.9 for before, after in itertools.pairwise(line.of(which)))


@in_virtual_time
async def test_a_store_that_forgot_lets_nobody_go_faster() -> None:
    """A gateway that has just had a turn has no other at once, whatever the store says."""
    line = Line(1)
    await line.want(0)
    line.meeting.due = float("-inf")
    await line.want(0)
    assert line.gaps[0] >= PACE - 0.01


class Hiccup(MemoryPeers):
    """Others of whom one question gets no answer, though they are there."""

    misses = 1

    async def reserve(self) -> float | None:
        if self.misses:
            self.misses -= 1
            return None
        return await super().reserve()


@in_virtual_time
async def test_one_question_that_came_to_nothing() -> None:
    """One turn at the share of the rate, then the fleet's again."""
    meeting = Meeting()
    governor = Governor(
        rate=1.0,
        burst=1,
        max_queued=10,
        timers=asyncio.get_running_loop(),
        on_wait=lambda _priority, _seconds: None,
        peers=Hiccup(meeting, SIZE),
    )
    waits = [await governor.turn(Priority.READ, 1e6) for _ in range(4)]
    assert waits[0] >= PACE - 0.01
    assert max(waits[1:]) <= 2 * PACE + 0.1
    assert meeting.asked["reserve"] >= 3


@in_virtual_time
async def test_who_cannot_wait_is_told_when() -> None:
    """The time until a turn counts what is reserved, and the round of those before."""
    line = Line(4)
    tasks = [asyncio.ensure_future(line.want(which, 3)) for which in range(4)]
    await asyncio.sleep(6)
    with pytest.raises(RateLimited) as refused:
        await line.want(0, wait=1.0)
    assert refused.value.retry_after is not None
    assert 1.0 < refused.value.retry_after <= 3 * 4 * PACE
    await asyncio.gather(*tasks)


@in_virtual_time
async def test_without_a_rate_nothing_is_reserved() -> None:
    """`rate` 0 asks nobody."""
    meeting = Meeting()
    governor = Governor(
        rate=0,
        burst=1,
        max_queued=1,
        timers=asyncio.get_running_loop(),
        on_wait=lambda _priority, _seconds: None,
        peers=meeting.join(),
    )
    for _ in range(3):
        assert await governor.turn(Priority.READ, 0) == 0
    governor.pause(5)
    assert meeting.asked == {}


@in_virtual_time
async def test_closed_it_reserves_nothing() -> None:
    """At the end a question to the store is given up."""
    line = Line(1)
    waiting = asyncio.ensure_future(line.want(0))
    await asyncio.sleep(0)
    await line.governors[0].aclose()
    await asyncio.sleep(5)
    assert line.turns == []
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@in_virtual_time
async def test_who_is_refused_without_the_store_looks_for_another_place() -> None:
    """Gateways that a 429 brings into step do not stay so: the losers of one round would lose each."""
    line = Line(3)
    line.meeting.goes()
    await asyncio.gather(*(line.want(which) for which in range(3)))
    for governor in line.governors:
        governor.pause(60.0)
    line.turns.clear()
    await asyncio.gather(*(line.want(which) for which in range(3)))
    assert min(line.gaps) > 0.1
