"""Waiting for a turn by oneself: served, refused at once or in the end, or gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from gateway.failures import RateLimited
from gateway.jobs.governor import Governor, Priority
from tests.support.timers import FakeTimers
from tests.support.token_sources import settle

READ, WRITE, WATCH = Priority.READ, Priority.WRITE, Priority.WATCH
NOBODY = {WRITE: 0, READ: 0, WATCH: 0}


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()


@pytest.fixture
def governor(timers: FakeTimers) -> Governor:
    """One turn a second; the pace of this file is in whole turns."""
    return Governor(rate=1.02, burst=1, max_queued=1_000, timers=timers, on_wait=lambda *_: None)


@pytest.fixture
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """What the loop has to say about futures that nobody looked at; a test fails where that is anything."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    yield heard
    await settle()
    assert heard == []


async def test_free_turn_takes_no_time(governor: Governor, timers: FakeTimers) -> None:
    """Where a turn is free it is had at once, even by a caller that cannot wait."""
    assert await governor.turn(READ, 0) == 0
    assert timers.armed == 0


async def test_turn_tells_how_long_it_took(governor: Governor, timers: FakeTimers) -> None:
    """Each caller is served in its turn and told the seconds it waited; no timer is left."""
    await governor.turn(READ, 30)
    turns = [asyncio.create_task(governor.turn(READ, 30)) for _ in range(3)]
    await timers.elapse(10)
    assert [turn.result() for turn in turns] == [1, 2, 3]
    assert timers.armed == 0


async def test_wait_that_is_too_long_is_refused_at_once(governor: Governor, timers: FakeTimers) -> None:
    """Where more wait than fit into the caller's time, it is told at once how long it would take."""
    for _ in range(6):
        governor.line_up(READ)
    with pytest.raises(RateLimited, match=r"jobs\.rate") as refused:
        await governor.turn(READ, 5.9)
    assert refused.value.retry_after == 6
    assert governor.queued() == {WRITE: 0, READ: 5, WATCH: 0}
    last = asyncio.create_task(governor.turn(READ, 6))
    await timers.elapse(6)
    assert last.result() == 6


async def test_writes_do_not_wait_for_reads(governor: Governor) -> None:
    """A full line of reads is no reason to refuse a write, nor a line of writes one to accept a read."""
    for _ in range(6):
        governor.line_up(READ)
    write = asyncio.create_task(governor.turn(WRITE, 1))
    await settle()
    assert governor.queued()[WRITE] == 1
    with pytest.raises(RateLimited):
        await governor.turn(READ, 6)
    write.cancel()
    await settle()


async def test_pause_that_is_too_long_is_refused_at_once(governor: Governor) -> None:
    """During a pause that outlasts the caller's time it is refused with what is left of the pause."""
    governor.pause(60)
    with pytest.raises(RateLimited) as refused:
        await governor.turn(WRITE, 30)
    assert refused.value.retry_after == 60
    assert governor.queued() == NOBODY


async def test_time_runs_out(governor: Governor, timers: FakeTimers) -> None:
    """A pause that comes while a caller waits lets its time run out: refused then, with what is left."""
    governor.line_up(READ)
    turn = asyncio.create_task(governor.turn(READ, 5))
    await settle()
    governor.pause(60)
    await timers.elapse(4.9)
    assert not turn.done()
    await timers.elapse(0.2)
    refused = turn.exception()
    assert isinstance(refused, RateLimited)
    assert refused.retry_after == 55
    assert governor.queued() == NOBODY
    assert timers.armed == 0


async def test_others_may_take_the_time(governor: Governor, timers: FakeTimers) -> None:
    """A read that writes keep from its turn is refused when its time is over, and they are served."""
    governor.line_up(READ)
    turn = asyncio.create_task(governor.turn(READ, 2.5))
    await settle()
    writes = [governor.line_up(WRITE) for _ in range(4)]
    await timers.elapse(10)
    refused = turn.exception()
    assert isinstance(refused, RateLimited)
    assert refused.retry_after == 2.5
    assert all(write.granted.done() for write in writes)


async def test_turn_at_the_last_moment_is_in_time(timers: FakeTimers) -> None:
    """A turn that falls due when the caller's time is over is given, whichever timer comes first."""
    governor = Governor(rate=1.02, burst=1, max_queued=9, timers=timers, on_wait=lambda *_: None)
    governor.line_up(READ)
    ahead = governor.line_up(READ)
    turn = asyncio.create_task(governor.turn(READ, 2))
    await settle()
    governor.withdraw(ahead)
    governor.pause(2)
    await timers.elapse(2)
    assert turn.result() == 2
    assert timers.armed == 0


async def test_cancelled_caller_leaves(
    governor: Governor, timers: FakeTimers, complaints: list[dict[str, Any]]
) -> None:
    """Whoever is cancelled while it waits costs no turn; those behind it move up, and nothing is left."""
    governor.line_up(READ)
    gone = [asyncio.create_task(governor.turn(READ, 2_000)) for _ in range(900)]
    await settle()
    stays = asyncio.create_task(governor.turn(READ, 2_000))
    await settle()
    for task in gone:
        task.cancel()
    await settle()
    assert governor.queued() == {WRITE: 0, READ: 1, WATCH: 0}
    assert timers.armed == 2
    await timers.elapse(1)
    assert stays.result() == 1
    assert timers.armed == 0


async def test_abandoned_caller_leaves(governor: Governor, timers: FakeTimers) -> None:
    """A caller that is given up without being cancelled leaves nothing either."""
    governor.line_up(READ)
    abandoned = governor.turn(READ, 30)
    abandoned.send(None)
    abandoned.close()
    assert governor.queued() == NOBODY
    assert timers.armed == 0


async def test_cancelled_at_the_moment_of_its_turn(
    governor: Governor, timers: FakeTimers, complaints: list[dict[str, Any]]
) -> None:
    """A caller that is cancelled when it has just been served is cancelled; the next has the next turn."""
    governor.line_up(READ)
    one, other = (asyncio.create_task(governor.turn(READ, 30)) for _ in range(2))
    await settle()
    timers.advance(1)
    one.cancel()
    await timers.elapse(1)
    assert one.cancelled()
    assert other.result() == 2
    assert timers.armed == 0


@pytest.mark.parametrize("first", ["cancel", "deadline"])
async def test_cancelled_at_the_moment_of_its_deadline(
    first: str, governor: Governor, timers: FakeTimers, complaints: list[dict[str, Any]]
) -> None:
    """A caller that is cancelled when its time is over is cancelled, without a failure that nobody reads."""
    governor.line_up(READ)
    turn = asyncio.create_task(governor.turn(READ, 1.5))
    await settle()
    governor.pause(60)
    if first == "cancel":
        turn.cancel()
    timers.advance(1.5)
    if first == "deadline":
        turn.cancel()
    await settle()
    assert turn.cancelled()
    assert governor.queued() == NOBODY
    assert timers.armed == 0


@pytest.mark.parametrize("priority", Priority)
async def test_retry_after_is_honest(priority: Priority, governor: Governor, timers: FakeTimers) -> None:
    """Who was refused and comes back after `retry_after` has a turn at once, if nobody else came."""
    for other in (WRITE, READ, READ, WRITE, WATCH, READ):
        if other <= priority:
            governor.line_up(other)
    governor.pause(7)
    with pytest.raises(RateLimited) as refused:
        await governor.turn(priority, 1)
    await timers.elapse(refused.value.retry_after or 0)
    assert await governor.turn(priority, 0) == 0


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_event_loop_keeps_the_time(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """On a real event loop everybody is served, in order, and nobody is left waiting."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        order: list[int] = []
        governor = Governor(rate=200, burst=3, max_queued=100, timers=loop, on_wait=lambda *_: None)

        async def caller(number: int) -> None:
            await governor.turn(READ, 30)
            order.append(number)

        await asyncio.gather(*(caller(number) for number in range(60)))
        assert order == list(range(60))
        assert governor.queued() == NOBODY

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())
