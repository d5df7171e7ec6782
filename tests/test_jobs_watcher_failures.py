"""Reads that fail: how the watcher backs off, complains, gives up and takes up again."""

import asyncio

import pytest

from gateway.jobs.schedule import GIVE_UP_AFTER, NOT_SHOWN, WatchRead
from tests.support.virtual_time import in_virtual_time
from tests.support.watching import Watched


def upstream_away(_: WatchRead) -> str:
    """Every read fails."""
    return "GatewayUpstreamUnreachable"


def works(_: WatchRead) -> None:
    """No read fails."""


def lists_fail(read: WatchRead) -> str | None:
    """Lists fail, jobs by themselves can be read."""
    return "Forbidden" if read.job_id is None else None


@in_virtual_time
async def test_it_backs_off() -> None:
    """The time between failing reads doubles from two seconds to two minutes, less up to a quarter."""
    async with Watched() as watched:
        watched.create("j")
        watched.failing = upstream_away
        await watched.until(1_000)
        gaps = watched.gaps()
        for gap, longest in zip(gaps, (2, 4, 8, 16, 32, 64, 120, 120, 120), strict=False):
            assert max(2, 0.75 * longest) <= gap <= longest + 2.1
        assert len(set(gaps[-4:])) == 4
        assert len(watched.failures) == len(watched.asked)
        watched.failing = works
        await watched.until(1_130)
        watched.happens("j", lasts=1)
        await watched.until(1_200)
        assert watched.known("j").status == "succeeded"


@in_virtual_time
async def test_one_bad_job_does_not_slow_the_others() -> None:
    """A job whose read fails backs off by itself."""
    async with Watched() as watched:
        watched.create("bad")
        watched.create("good", kind="deletion")
        watched.failing = lambda read: "Forbidden" if read.job_id == "bad" else None
        await watched.until(100)
        assert len([name for name in watched.reads() if name == "good"]) >= 20
        assert len([name for name in watched.reads() if name == "bad"]) <= 6


@in_virtual_time
async def test_a_list_that_fails() -> None:
    """While the list of a kind backs off, its jobs are read by themselves; then it is tried again."""
    async with Watched() as watched:
        for name in "abc":
            watched.create(name, lasts=300)
        watched.failing = lists_fail
        await watched.until(250)
        gaps = watched.gaps(lambda read: read.job_id is None)
        for gap, longest in zip(gaps, (2, 4, 8, 16, 32, 64), strict=False):
            assert 0.75 * longest <= gap <= 2.5 * longest
        assert {"a", "b", "c"} <= set(watched.reads(200))
        watched.failing = works
        await watched.until(600)
        assert {watched.known(name).status for name in "abc"} == {"succeeded"}


@in_virtual_time
async def test_lists_that_look_back_off_too() -> None:
    """With `all`, lists that fail back off to two minutes, never give up, and find jobs once they work."""
    async with Watched("all") as watched:
        watched.failing = upstream_away
        await watched.until(6_000)
        assert 100 <= len(watched.asked) <= 150
        watched.failing = works
        watched.happens("foreign")
        await watched.until(6_130)
        assert watched.known("foreign").status == "running"


@in_virtual_time
async def test_it_gives_up_loudly() -> None:
    """After twenty failures in a row a job is no longer followed, which is said once; others are."""
    async with Watched() as watched:
        watched.create("bad\n\x1b" + "x" * 500)
        watched.create("good", kind="deletion")
        watched.failing = lambda read: "Forbidden\r\n" + "y" * 500 if read.kind == "import" else None
        await watched.until(3_600)
        assert len(watched.failures) == GIVE_UP_AFTER
        (line,) = [line for line in watched.lines if "gives up" in line]
        assert "import/bad" in line
        assert "Forbidden" in line
        assert line.isprintable()
        assert len(line) < 600
        state = watched.watcher.state()
        assert len(state.given_up) == 1
        assert state.following == 1
        assert watched.reads(3_500) == ["good"] * len(watched.reads(3_500)) != []


@in_virtual_time
async def test_a_job_that_is_shown_again_is_followed_again() -> None:
    """What was given up is taken up when another request shows it."""
    async with Watched() as watched:
        watched.create("j")
        watched.failing = upstream_away
        await watched.until(4_000)
        assert not watched.reads(2_500)
        assert watched.watcher.state().next_read_in is None
        watched.failing = works
        watched.poll("j")
        await watched.until(4_100)
        assert watched.reads(4_000)
        assert watched.watcher.state().given_up == ()


@in_virtual_time
async def test_failures_in_a_row_only() -> None:
    """A sighting between two failures begins the count anew."""
    async with Watched() as watched:
        watched.create("j")
        watched.failing = upstream_away
        for hour in range(1, 6):
            await watched.until(hour * 1_200)
            watched.poll("j")
        assert len(watched.failures) > 2 * GIVE_UP_AFTER
        assert not [line for line in watched.lines if "gives up" in line]


@in_virtual_time
async def test_after_an_outage_the_jobs_are_taken_up() -> None:
    """What was given up while nothing worked is followed again as soon as anything works."""
    async with Watched() as watched:
        watched.create("j")
        watched.failing = upstream_away
        await watched.until(4_000)
        watched.failing = works
        watched.create("next", kind="deletion")
        await watched.until(4_010)
        assert "j" in watched.reads(4_000)
        assert watched.watcher.state().following == 2


@in_virtual_time
async def test_an_outage_does_not_flood_the_log() -> None:
    """One line when reads begin to fail, one when they work again, however many fail."""
    async with Watched() as watched:
        for name in "abc":
            watched.create(name)
            watched.create(name, kind="deletion")
        await watched.until(60)
        watched.failing = upstream_away
        await watched.until(900)
        since = watched.watcher.state().failing_since
        assert since is not None
        assert watched.wall() - since == pytest.approx(840, abs=10)
        assert len(watched.failures) > 30
        (line,) = watched.lines
        assert "GatewayUpstreamUnreachable" in line
        watched.failing = works
        await watched.until(1_200)
        assert len(watched.lines) == 2
        assert watched.watcher.state().failing_since is None


@in_virtual_time
async def test_reads_that_fail_now_and_then_do_not_flood_the_log() -> None:
    """An upstream that comes and goes is worth two lines in ten minutes, one failure none."""
    async with Watched("all") as watched:
        watched.create("j")
        watched.failing = lambda _: None if len(watched.asked) % 2 else "ServiceUnavailable"
        await watched.until(3_600)
        assert watched.lines == []
        watched.failing = lambda _: None if len(watched.asked) % 5 == 0 else "ServiceUnavailable"
        await watched.until(7_200)
        assert 2 <= len(watched.lines) <= 12


@in_virtual_time
async def test_an_answer_that_does_not_show_the_job() -> None:
    """A read whose answer cannot be used is a failure, and does not make the watcher hurry."""
    async with Watched() as watched:
        watched.create("j")
        watched.unreadable = True
        await watched.until(100)
        assert watched.failures == [NOT_SHOWN] * len(watched.asked)
        assert len(watched.asked) <= 6


@in_virtual_time
async def test_a_job_the_service_does_not_know() -> None:
    """A job that is gone is neither read again nor a failure."""
    async with Watched() as watched:
        watched.create("j")
        watched.vanishes("j")
        await watched.until(100)
        assert watched.reads() == ["j"]
        assert not watched.failures
        assert watched.watcher.state().following == 0


@pytest.mark.parametrize("error", [ValueError("x"), asyncio.CancelledError(), TimeoutError()], ids=repr)
@in_virtual_time
async def test_it_never_dies(error: BaseException) -> None:
    """A read that raises, or is cancelled by others, is a failure named after the exception."""
    async with Watched() as watched:
        watched.create("j", lasts=20)
        watched.failing = lambda _: error
        await watched.until(10)
        assert watched.failures == [type(error).__name__] * 3
        watched.failing = works
        await watched.until(40)
        assert watched.known("j").status == "succeeded"


@in_virtual_time
async def test_it_survives_those_it_tells() -> None:
    """Even a counter or a log that raises does not end the following."""
    async with Watched() as watched:
        watched.broken_ears = True
        watched.create("j", lasts=400)
        watched.failing = upstream_away
        await watched.until(300)
        watched.failing = works
        await watched.until(520)
        assert watched.known("j").status == "succeeded"
