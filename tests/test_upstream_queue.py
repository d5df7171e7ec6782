"""The queue for the upstream's slots: bounded, in order, and no cancellation loses a slot."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import failures
from gateway.upstream.slots import Slots

AGES = 3_600.0


async def turns(count: int = 1) -> None:
    """Let everything run that can run."""
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def waiting(slots: Slots, count: int) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Requests that have asked for a slot; they give up at the end."""
    tasks = [asyncio.ensure_future(slots.take()) for _ in range(count)]
    await turns()
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def assert_all_free(slots: Slots, count: int, queued: int) -> None:
    """Exactly `count` slots can be taken without waiting, and `queued` may wait after that."""
    async with waiting(slots, count) as tasks:
        assert all(task.done() for task in tasks)
    async with waiting(slots, queued) as tasks:
        assert not any(task.done() for task in tasks)
        assert slots.full
    for _ in range(count):
        slots.give_back()


async def take_all(slots: Slots, count: int) -> None:
    """Exactly `count` slots can be taken."""
    for _ in range(count):
        await slots.take()
    with pytest.raises(failures.Overloaded):
        await slots.take()


async def test_a_full_queue_refuses_at_once() -> None:
    """With every slot taken and the queue full, the next is refused without waiting, and may come again."""
    slots = Slots(2, max_queued=3, wait=AGES)
    slots.check()
    await slots.take()
    await slots.take()
    async with waiting(slots, 3):
        assert slots.full
        late = asyncio.ensure_future(slots.take())
        await turns()
        assert late.done()
        with pytest.raises(failures.Overloaded, match=r"upstream\.max_queued") as refused:
            late.result()
        assert refused.value.retry_after == 1
        with pytest.raises(failures.Overloaded):
            slots.check()
    slots.check()


async def test_a_free_slot_is_taken_at_once() -> None:
    """As many as there are, and none that is handed to somebody who waits."""
    slots = Slots(2, max_queued=1, wait=AGES)
    assert slots.take_free()
    assert slots.take_free()
    assert not slots.take_free()
    async with waiting(slots, 1):
        slots.give_back()
        assert not slots.take_free()


async def test_no_queue() -> None:
    """With max_queued = 0 nothing waits."""
    slots = Slots(1, max_queued=0, wait=AGES)
    slots.check()
    await slots.take()
    assert slots.full
    with pytest.raises(failures.Overloaded):
        await slots.take()
    slots.give_back()
    await assert_all_free(slots, 1, 0)


async def test_in_the_order_of_arrival() -> None:
    """Whoever waits longest gets the next slot, and nobody who comes later gets it before."""
    slots = Slots(1, max_queued=10, wait=AGES)
    await slots.take()
    async with waiting(slots, 3) as tasks:
        for number in range(3):
            slots.give_back()
            late = asyncio.ensure_future(slots.take())
            await turns(2)
            assert [task.done() for task in tasks] == [nth <= number for nth in range(3)]
            assert not late.done()
            late.cancel()
            await turns()
    slots.give_back()
    await assert_all_free(slots, 1, 10)


async def test_whoever_waits_too_long_is_refused_and_leaves_the_queue() -> None:
    """After `wait` seconds a request is refused; its place in the queue is free again."""
    slots = Slots(1, max_queued=1, wait=0.01)
    await slots.take()
    for _ in range(3):
        with pytest.raises(failures.Overloaded, match=r"upstream\.max_connections") as refused:
            await slots.take()
        assert refused.value.retry_after == 1
        assert not slots.full
    slots.give_back()
    await take_all(slots, 1)


async def test_a_request_with_less_time_waits_no_longer() -> None:
    """What is left of a request's time bounds its wait; more than `wait` is no reason to wait longer."""
    patient, hasty = Slots(1, max_queued=1, wait=AGES), Slots(1, max_queued=1, wait=0.01)
    for slots, longest in ((patient, 0.01), (patient, 0.0), (patient, -1.0), (hasty, AGES)):
        await slots.take()
        with pytest.raises(failures.Overloaded):
            await slots.take(longest)
        assert not slots.full
        slots.give_back()
    await assert_all_free(patient, 1, 1)


async def test_a_slot_for_whoever_has_just_left_goes_to_the_next() -> None:
    """A slot that was handed to a request cancelled in the same moment is not lost."""
    slots = Slots(1, max_queued=2, wait=AGES)
    await slots.take()
    async with waiting(slots, 2) as (first, second):
        slots.give_back()
        first.cancel()
        await turns(2)
        assert first.cancelled()
        assert second.done()
        assert not second.cancelled()
    slots.give_back()
    await assert_all_free(slots, 1, 2)


async def test_requests_that_run_on_keep_slots_only_beyond_as_many_as_there_are() -> None:
    """What was given up and runs on holds no slot, until there are as many of these as slots."""
    slots = Slots(2, max_queued=0, wait=AGES)
    loop = asyncio.get_running_loop()
    running_on = [loop.create_future() for _ in range(4)]
    for leftover in running_on:
        await slots.take()
        slots.give_back(leftover)
    assert slots.full
    for leftover in running_on:
        leftover.set_result(None)
    await turns()
    await assert_all_free(slots, 2, 0)


@pytest.mark.parametrize("wait", [AGES, 0.0])
@pytest.mark.parametrize("seed", range(10))
async def test_a_storm_loses_no_slot(seed: int, wait: float) -> None:
    """Whatever is cancelled wherever it waits: never more than the slots are out, and all come back."""
    chance = random.Random(seed)  # noqa: S311 - a seed makes a failure repeatable
    slots = Slots(3, max_queued=8, wait=wait)
    out = 0
    most = 0

    async def one() -> None:
        nonlocal out, most
        await turns(chance.randrange(6))
        await slots.take()
        out += 1
        most = max(most, out)
        leftover = None
        try:
            await turns(chance.randrange(6))
            leftover = asyncio.get_running_loop().create_future() if chance.random() < 0.3 else None
            await turns(chance.randrange(3))
        finally:
            out -= 1
            slots.give_back(leftover)
            if leftover is not None:
                asyncio.get_running_loop().call_soon(leftover.set_result, None)

    tasks = []
    for _ in range(200):
        tasks.append(asyncio.ensure_future(one()))
        await turns(chance.randrange(3))
        if chance.random() < 0.7:
            chance.choice(tasks).cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await turns(3)
    assert all(isinstance(each, asyncio.CancelledError | failures.Overloaded | None) for each in outcomes)
    assert outcomes.count(None) > 10
    assert most <= 3
    assert out == 0
    # Who waits for no time at all is never seen in the queue.
    if wait:
        await assert_all_free(slots, 3, 8)
    else:
        await take_all(slots, 3)
