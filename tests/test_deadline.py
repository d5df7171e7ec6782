"""A deadline that is armed only once there is something to wait for."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from gateway.deadline import Alarm, _watches, within


async def test_result_without_waiting() -> None:
    """What needs no waiting is returned, even with no time at all."""

    async def at_once() -> str:
        return "done"

    assert await within(0, at_once()) == "done"


async def test_result_after_waiting() -> None:
    """What waits several times is returned once it is there."""
    first = asyncio.Event()

    async def twice() -> str:
        await first.wait()
        await asyncio.sleep(0)
        return "done"

    call = asyncio.ensure_future(within(30, twice()))
    await asyncio.sleep(0)
    first.set()
    assert await call == "done"


async def test_too_late() -> None:
    """What does not come in time raises TimeoutError, and is cancelled."""
    ended = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        await within(0.01, never())
    assert ended == ["cancelled"]


async def test_cancellation_from_outside() -> None:
    """A cancellation reaches the call, and stays a cancellation."""
    began = asyncio.Event()

    async def never() -> None:
        began.set()
        await asyncio.Event().wait()

    call = asyncio.ensure_future(within(30, never()))
    await began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("waits", [False, True])
async def test_failures_pass(waits: bool) -> None:
    """An exception of the call is raised as it is, before and after it waited."""

    async def fails() -> None:
        if waits:
            await asyncio.sleep(0)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await within(30, fails())


async def test_handled_cancellation_gives_a_result() -> None:
    """A call that answers its cancellation with a result is heard."""
    began = asyncio.Event()

    async def stubborn() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "kept"
        return "lost"

    call = asyncio.ensure_future(within(30, stubborn()))
    await began.wait()
    call.cancel()
    assert await call == "kept"


async def test_both_cancelled_and_too_late() -> None:
    """Where a deadline and a cancellation meet, the cancellation wins: whoever asked for it is waiting."""

    async def never() -> None:
        with Alarm(-1):
            await asyncio.Event().wait()

    call = asyncio.ensure_future(never())
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.cancelling()


async def test_moved() -> None:
    """An alarm that is put off does not ring before, and rings then; the task can be used afterwards."""
    task = asyncio.current_task()
    assert task is not None
    with Alarm(0) as alarm:
        alarm.move(60)
        await asyncio.sleep(0.01)
        alarm.move(0)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
    assert not task.cancelling()


async def test_an_alarm_is_for_a_task() -> None:
    """Outside of one there is nobody to wake."""
    failed = []

    def outside() -> None:
        try:
            Alarm(1)
        except RuntimeError as error:
            failed.append(error)

    asyncio.get_running_loop().call_soon(outside)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(failed) == 1


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_each_rings_in_its_time(
    make_loop: Callable[[], asyncio.AbstractEventLoop], order: tuple[int, ...]
) -> None:
    """In whatever order they are set; one that was left rings for nobody, though it would be first."""
    rung = []

    async def waits(place: int) -> None:
        try:
            with Alarm(place / 50):
                await asyncio.Event().wait()
        except TimeoutError:
            rung.append(place)

    async def all_of_them() -> None:
        with Alarm(0.01):
            pass
        await asyncio.gather(*map(waits, order))

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(all_of_them())
    assert rung == [1, 2, 3]


def test_a_loop_that_is_closed_is_forgotten() -> None:
    """What is kept of loops does not grow with them: of those that are closed only the last is left."""

    async def armed() -> None:
        with Alarm(60):
            await asyncio.sleep(0)

    for _ in range(3):
        with asyncio.Runner() as runner:
            runner.run(armed())
    assert sum(loop.is_closed() for loop in _watches) == 1
