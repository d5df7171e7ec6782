"""How the watcher starts, sleeps, wakes and ends."""

import asyncio

from gateway.jobs.schedule import MAX_FOLLOWED, QUICKEST
from gateway.jobs.watcher import WatcherState
from tests.support.virtual_time import in_virtual_time
from tests.support.watching import LATENCY, Watched


@in_virtual_time
async def test_it_sleeps_without_timers() -> None:
    """With nothing to follow no timer is set, until a job is seen; with its end none again."""
    async with Watched() as watched:
        await watched.until(1_000)
        assert watched.timers.set_ == []
        watched.create("j", lasts=5)
        assert watched.timers.armed == 1
        await watched.until(1_010)
        assert watched.known("j").status == "succeeded"
        assert watched.timers.armed == 0
        assert watched.reads(1_008) == []


@in_virtual_time
async def test_a_new_job_wakes_it() -> None:
    """A job that begins while the watcher sleeps for another one is read after two seconds."""
    async with Watched() as watched:
        watched.create("old")
        await watched.until(3_601)
        watched.create("new", kind="deletion")
        await watched.until(3_604)
        first = next(asked.at for asked in watched.asked if asked.job_id == "new")
        assert first < 3_601 + QUICKEST + 2 * LATENCY


@in_virtual_time
async def test_a_thousand_pokes() -> None:
    """Pokes cost a timer in two seconds, however many there are."""
    async with Watched() as watched:
        watched.create("j")
        await watched.until(3_600)
        before = len(watched.timers.set_)
        for _ in range(1_000):
            watched.poll("j")
            await asyncio.sleep(0)
        assert len(watched.timers.set_) - before <= 2


@in_virtual_time
async def test_off() -> None:
    """Switched off, it reads nothing."""
    async with Watched("off") as watched:
        watched.create("j")
        await watched.until(1_000)
        assert watched.asked == []
        assert watched.watcher.state() == WatcherState(0, None, None, ())


@in_virtual_time
async def test_a_restart() -> None:
    """What the ledger holds from before is read at once, no faster than else, and followed to its end."""
    async with Watched("off", page=20) as before:
        for number in range(40):
            before.create(f"j{number:02}", lasts=3_600)
            await before.until(number + 1.0)
        await before.until(7_200)
        async with Watched(page=20, restarted=before) as after:
            await after.until(0.5)
            assert after.reads() == [None]
            await after.until(60)
            assert min(after.gaps()) >= QUICKEST
            assert len(before.room.finished) == 40
            assert sorted(name for name in after.reads() if name) == [f"j{number:02}" for number in range(20)]
            assert after.timers.armed == 0


@in_virtual_time
async def test_it_is_closed_while_it_reads() -> None:
    """Closing ends a read under way and leaves neither a task nor a timer."""
    async with Watched() as watched:
        watched.create("j")
        await watched.until(QUICKEST + LATENCY / 2)
        assert watched.under_way == 1
        await watched.watcher.aclose()
        assert watched.under_way == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await watched.watcher.aclose()
    assert watched.timers.armed == 0


@in_virtual_time
async def test_it_is_closed_while_it_sleeps() -> None:
    """Closing a sleeping watcher leaves no timer, and so does closing one that never started."""
    async with Watched() as watched:
        watched.create("j")
        await watched.until(1)
    assert watched.timers.armed == 0
    await Watched().watcher.aclose()


@in_virtual_time
async def test_more_jobs_than_it_follows_at_a_time() -> None:
    """Of very many jobs the newest are followed, and as they end the others too."""
    async with Watched(page=100_000) as watched:
        for number in range(2 * MAX_FOLLOWED):
            watched.happens(f"j{number}", lasts=20, age=-number / 1_000)
        watched.poll(*(f"j{number}" for number in range(2 * MAX_FOLLOWED)))
        watched.page = 0
        await watched.until(4.5)
        assert watched.reads() == [None, f"j{MAX_FOLLOWED}"]
        watched.page = 100_000
        await watched.until(60)
        assert len(watched.room.finished) == 2 * MAX_FOLLOWED


@in_virtual_time
async def test_what_it_tells_people() -> None:
    """It says how many jobs it follows, and when it reads next."""
    async with Watched() as watched:
        assert watched.watcher.state() == WatcherState(0, None, None, ())
        watched.create("a")
        watched.create("b")
        await watched.until(0.5)
        state = watched.watcher.state()
        assert state.following == 2
        assert state.next_read_in is not None
        assert 1.4 < state.next_read_in < 1.6
        await watched.until(QUICKEST + LATENCY / 2)
        assert watched.watcher.state().next_read_in == 0.0
