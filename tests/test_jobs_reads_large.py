"""Answers too large to be shared: the rest of one is read by one caller, or given up."""

import asyncio

import pytest

from gateway.jobs.reads import ReadAnswer, Unshared
from tests.support.desk import TRACE, Desk
from tests.support.token_sources import settle


class Rest:
    """What follows of a body."""

    closed = 0

    async def read(self) -> bytes | None:
        return None

    async def aclose(self, error: BaseException | None = None) -> None:
        assert error is None
        self.closed += 1


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_one_caller_gets_the_rest(desk: Desk) -> None:
    """The first gets the answer with its rest, the others are told to ask for themselves."""
    first, second = desk.ask(), desk.ask()
    await desk.upstream.answers(rest=(rest := Rest()))
    assert first.result().answer.rest is rest
    assert isinstance(second.exception(), Unshared)
    assert rest.closed == 0
    asked_again = desk.ask()
    await settle()
    assert not asked_again.done()
    await desk.reads.aclose()


def comes(desk: Desk, rest: Rest) -> None:
    """The answer is there, and nobody has been told yet."""
    now = desk.timers.now
    large = ReadAnswer(200, [], b"{", now, now, TRACE, rest=rest)
    desk.upstream.waiting.pop(0).set_result(large)


@pytest.mark.parametrize("stay", [0, 1, 2])
async def test_who_leaves_as_the_answer_comes_leaves_it_to_the_next(desk: Desk, stay: int) -> None:
    """The rest goes to the first who is there to take it; without one it is closed."""
    leaving, others = desk.ask(), [desk.ask() for _ in range(stay)]
    await settle()
    comes(desk, rest := Rest())
    leaving.cancel()
    await settle()
    assert leaving.cancelled()
    assert rest.closed == (0 if stay else 1)
    if stay:
        assert others[0].result().answer.rest is rest
    assert all(isinstance(task.exception(), Unshared) for task in others[1:])


async def test_who_leaves_with_the_answer_in_hand_closes_it(desk: Desk) -> None:
    """A caller that was told and is cancelled before it wakes up closes what it had got."""
    leaving = desk.ask()
    await settle()
    desk.upstream.waiting[0].add_done_callback(lambda _: leaving.cancel())
    comes(desk, rest := Rest())
    await settle()
    assert leaving.cancelled()
    assert rest.closed == 1


async def test_a_large_429_is_not_lost_either(desk: Desk) -> None:
    """A 429 whose body is too large to be read goes to one caller with its rest, and pauses the turns."""
    first, second = desk.ask(), desk.ask()
    await desk.upstream.answers(429, rest=(rest := Rest()))
    assert first.result().answer.rest is rest
    assert isinstance(second.exception(), Unshared)
    assert desk.governor.paused_for == desk.pause
    await asyncio.sleep(0)
    assert desk.reads._flights == {}
