"""Who has little patience in a fleet: served where a turn is free, refused where none is, and told when."""

import asyncio
import random

import pytest

from gateway.failures import RateLimited
from gateway.jobs.governor import Governor, Priority
from gateway.jobs.pace import PACE
from tests.support.company import Readers
from tests.support.peers import Meeting
from tests.support.virtual_time import in_virtual_time


def governor(meeting: Meeting, number: int = 0) -> Governor:
    return Governor(
        rate=1.0,
        burst=1,
        max_queued=1_000,
        timers=asyncio.get_running_loop(),
        on_wait=lambda _priority, _seconds: None,
        peers=meeting.join(),
        chance=random.Random(number),  # noqa: S311 - chance that can be repeated
    )


@in_virtual_time
async def test_who_has_no_patience_has_a_turn_that_is_free() -> None:
    """To ask the store whether a turn is free is no wait; the next one, at any gateway, is refused."""
    meeting = Meeting()
    one, two = governor(meeting), governor(meeting, 1)
    began = asyncio.get_running_loop().time()
    assert await one.turn(Priority.WRITE, 0.0) < 0.1
    for each in (one, two):
        with pytest.raises(RateLimited):
            await each.turn(Priority.WRITE, 0.0)
    assert asyncio.get_running_loop().time() - began < 0.5


@in_virtual_time
async def test_a_read_without_patience_has_a_turn_that_is_free() -> None:
    """A read that is to wait for nothing is read where it can be at once, else refused."""
    readers = Readers()
    given = await readers.all[0].ask("a", patience=0.0)
    assert given.answer.status == 200
    with pytest.raises(RateLimited):
        await readers.all[1].ask("b", patience=0.0)
    await readers.aclose()


@in_virtual_time
async def test_no_patience_without_the_store() -> None:
    """While the store is away a turn is free or not, and who has no patience is told soon."""
    meeting = Meeting()
    meeting.goes()
    one = governor(meeting)
    await one.turn(Priority.WRITE, 10.0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(RateLimited):
        await one.turn(Priority.WRITE, 0.0)
    assert asyncio.get_running_loop().time() - began < 0.5


@in_virtual_time
async def test_a_busy_time_of_long_ago_says_nothing() -> None:
    """After forty busy gateways and an hour's rest, two writes at once have a turn each."""
    meeting = Meeting()
    governors = [governor(meeting, number) for number in range(40)]
    await asyncio.gather(*(each.turn(Priority.WRITE, 1e6) for each in governors for _ in range(2)))
    await asyncio.sleep(3_600)
    last = governors[-1]
    await asyncio.gather(*(last.turn(Priority.WRITE, 2 * PACE) for _ in range(2)))


@in_virtual_time
async def test_to_ask_when_changes_nothing() -> None:
    """However often it is asked when a turn is, one that nobody wanted was not late."""
    meeting = Meeting()
    one, two = governor(meeting), governor(meeting, 1)
    await one.turn(Priority.READ, 10.0)
    unwanted = one.line_up(Priority.READ)
    await asyncio.sleep(0.1)
    one.withdraw(unwanted)
    await asyncio.sleep(PACE + 0.1)
    for _ in range(5):
        one.expected_wait(Priority.READ)
    await asyncio.sleep(2 * PACE)
    await two.turn(Priority.READ, 10.0)
    wanted = one.line_up(Priority.READ)
    await asyncio.sleep(0.1)
    meeting.asked.clear()
    with one.using():
        await asyncio.sleep(PACE + 0.05)  # later than its turn by a little more than may be
    await asyncio.wait_for(wanted.granted, 3)
    assert meeting.asked["reserve"] == 1
