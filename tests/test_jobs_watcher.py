"""How often the watcher reads, and what."""

import pytest

from gateway.jobs.schedule import MAX_LINKS, QUICKEST, SLOWEST
from tests.support.virtual_time import in_virtual_time
from tests.support.watching import LATENCY, Watched, span

HOUR = 3_600.0


@pytest.mark.parametrize("jobs", [1, 2, 20])
@in_virtual_time
async def test_one_read_per_interval(jobs: int) -> None:
    """Any number of jobs of a kind costs the reads that one job costs."""
    async with Watched() as watched:
        for number in range(jobs):
            watched.create(f"j{number}")
        await watched.until(600)
        assert len(watched.asked) == 47
        assert set(watched.reads()) == ({"j0"} if jobs == 1 else {None})


@in_virtual_time
async def test_jobs_of_unlike_age_fall_into_step() -> None:
    """Jobs that began at different times cost no more reads than the youngest of them alone."""
    async with Watched() as watched:
        for number in range(20):
            watched.create(f"j{number}")
            await watched.until(watched.now + 37)
        begun = watched.now
        watched.create("young")
        await watched.until(begun + 600)
        assert len(watched.reads(begun)) <= 47 + 1
        assert max(watched.gaps()[-10:]) <= SLOWEST + 2 * LATENCY


@in_virtual_time
async def test_a_list_where_two_are_due() -> None:
    """One job of a kind is read by itself, two that are due together are one list."""
    async with Watched() as watched:
        watched.create("a")
        watched.create("a", kind="deletion")
        await watched.until(10)
        assert set(watched.reads()) == {"a"}
        assert {asked.kind for asked in watched.asked} == {"import", "deletion"}
        watched.create("b")
        await watched.until(20)
        assert {asked.job_id for asked in watched.asked if asked.at > 12 and asked.kind == "import"} == {None}


@in_virtual_time
async def test_never_two_reads_at_once() -> None:
    """Reads never overlap and begin at least two seconds after the end of the one before."""
    async with Watched() as watched:
        watched.latency = 7.0
        for kind in ("import", "deletion"):
            for name in "abc":
                watched.create(name, kind=kind)
        await watched.until(120)
        assert min(watched.gaps()) >= watched.latency + QUICKEST - 0.01
        assert len(watched.asked) >= 120 / (watched.latency + QUICKEST) - 2


@in_virtual_time
async def test_a_job_that_the_first_page_does_not_show() -> None:
    """It is read by itself at a later time, is not counted as failed, and is seen to end."""
    async with Watched(page=2) as watched:
        watched.create("old", lasts=30)
        await watched.until(1)
        for name in ("new", "newer"):
            watched.create(name)
        await watched.until(40)
        assert {"old", None} <= set(watched.reads())
        assert watched.known("old").status == "succeeded"
        assert min(watched.gaps()) >= QUICKEST
        assert not watched.failures
        await watched.until(60)
        assert "old" not in watched.reads(45)


@in_virtual_time
async def test_an_apps_poll_counts_as_ones_own() -> None:
    """While an app polls often enough the watcher reads nothing, and goes on when the app has stopped."""
    async with Watched() as watched:
        watched.create("j", lasts=65)
        for second in range(60):
            await watched.until(second + 1)
            watched.poll("j")
        assert not watched.asked
        await watched.until(90)
        assert watched.asked[0].at == pytest.approx(66, abs=0.1)
        assert watched.known("j").status == "succeeded"
        assert len(watched.asked) == 1


@in_virtual_time
async def test_a_short_job() -> None:
    """A job of five seconds is seen to end within three."""
    async with Watched() as watched:
        watched.create("j", lasts=5)
        await watched.until(8)
        assert watched.known("j").status == "succeeded"
        assert watched.known("j").last_seen - watched.known("j").since <= 8
        assert len(watched.asked) == 3


@in_virtual_time
async def test_a_long_job() -> None:
    """A job of ten hours costs at most 1,250 reads, one in thirty seconds in the end, and is seen to end."""
    async with Watched() as watched:
        watched.create("j", lasts=10 * HOUR)
        await watched.until(10 * HOUR + SLOWEST + 1)
        assert watched.known("j").status == "succeeded"
        assert 1_200 <= len(watched.asked) <= 1_250
        assert watched.gaps()[-1] == pytest.approx(SLOWEST, abs=0.1)
        await watched.until(11 * HOUR)
        assert len(watched.asked) <= 1_250


@in_virtual_time
async def test_an_end_is_seen_in_proportion() -> None:
    """However long a job takes, its end is seen within a tenth of that time and two seconds."""
    for lasts in (1, 13, 60, 170, 290):
        async with Watched() as watched:
            watched.create("j", lasts=lasts)
            await watched.until(lasts * 1.1 + QUICKEST + 2 * LATENCY)
            assert watched.known("j").status == "succeeded"


@in_virtual_time
async def test_a_job_that_changes_is_looked_at_more_often() -> None:
    """Once its status has changed, a job is read as often as a new one."""
    async with Watched() as watched:
        watched.create("j")
        await watched.until(HOUR)
        watched.cancels("j")
        await watched.until(HOUR + SLOWEST + 1)
        seen = watched.known("j").changed - watched.known("j").since
        await watched.until(seen + 20)
        assert len(watched.reads(seen, seen + 20)) >= 8


@in_virtual_time
async def test_a_job_that_was_old_when_first_seen() -> None:
    """A job that has run for hours before it was seen is not taken for new."""
    async with Watched() as watched:
        watched.happens("j", age=5 * HOUR)
        watched.poll("j")
        await watched.until(300)
        assert len(watched.asked) == 9


@in_virtual_time
async def test_a_job_without_an_end() -> None:
    """A job that has not ended after days is followed on, at the slowest pace."""
    async with Watched() as watched:
        watched.create("j")
        await watched.until(30 * HOUR)
        assert len(watched.reads(29 * HOUR)) == pytest.approx(HOUR / SLOWEST, abs=2)
        assert watched.watcher.state().given_up == ()


@in_virtual_time
async def test_reads_name_the_requests_that_created_the_jobs() -> None:
    """A read carries the span contexts of the jobs it is made for, ten of them at most."""
    async with Watched() as watched:
        watched.create("j1")
        await watched.until(3)
        for number in range(2, 4):
            watched.create(f"j{number}")
        await watched.until(8)
        for number in range(4, 16):
            watched.create(f"j{number}")
        await watched.until(20)
        links = [asked.read.links for asked in watched.asked]
        assert links[0] == (span(1),)
        assert (span(1), span(2), span(3)) in links
        assert max(map(len, links)) == MAX_LINKS


@pytest.mark.parametrize("jump", [-24 * HOUR, -10.0, 10.0, 24 * HOUR])
@in_virtual_time
async def test_the_wall_clock_jumps(jump: float) -> None:
    """A clock that is set makes the watcher neither stop nor hurry."""
    async with Watched() as watched:
        watched.create("a")
        watched.create("b", kind="deletion")
        await watched.until(100)
        watched.wall.tick(jump)
        await watched.until(200)
        assert {asked.kind for asked in watched.asked if 100 < asked.at < 140} == {"import", "deletion"}
        assert 6 <= len(watched.reads(100, 200)) <= 40
        assert min(watched.gaps()) >= QUICKEST
