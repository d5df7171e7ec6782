"""How the watcher learns of jobs that the gateway has nothing to do with."""

import itertools

from tests.support.virtual_time import in_virtual_time
from tests.support.watching import Watched

KINDS = {"import", "deletion"}


@in_virtual_time
async def test_foreign_jobs_are_found() -> None:
    """Jobs that others began are found at the start, and within a minute while there is news."""
    async with Watched("all") as watched:
        for kind in KINDS:
            watched.happens("before", kind=kind)
        await watched.until(2.5)
        assert {watched.known("before", kind).status for kind in KINDS} == {"running"}
        for kind in KINDS:
            watched.happens("later", kind=kind)
        await watched.until(63)
        assert {watched.known("later", kind).status for kind in KINDS} == {"running"}


@in_virtual_time
async def test_seen_does_not_look() -> None:
    """Without `all`, jobs of others are not looked for."""
    async with Watched("seen") as watched:
        watched.happens("foreign")
        watched.create("own")
        await watched.until(1_000)
        assert None not in watched.reads()


@in_virtual_time
async def test_a_foreign_job_is_followed_to_its_end() -> None:
    """A job that others began is followed like one's own."""
    async with Watched("all") as watched:
        watched.happens("foreign", lasts=100)
        await watched.until(112)
        assert watched.known("foreign").status == "succeeded"
        assert len(watched.room.finished) == 1


@in_virtual_time
async def test_looking_costs_little_where_nothing_happens() -> None:
    """With no jobs, each kind is listed at the start, then every minute, in the end every five minutes."""
    async with Watched("all") as watched:
        await watched.until(36_000)
        gaps = watched.gaps(lambda read: read.kind == "import")
        assert watched.asked[0].at == 0
        assert 59 <= gaps[0] <= 61
        assert all(after >= before - 0.1 for before, after in itertools.pairwise(gaps))
        assert 299 <= gaps[-1] <= 301
        assert len(watched.asked) <= 2 * (36_000 / 300 + 6)


@in_virtual_time
async def test_news_makes_it_look_more_often() -> None:
    """A job that was found, or has ended, makes the kind be listed every minute again."""
    async with Watched("all") as watched:
        await watched.until(3_600)
        found = watched.now
        watched.happens("brief", lasts=1)
        watched.happens("foreign", lasts=400)
        await watched.until(found + 301)
        at = watched.known("foreign").first_seen - watched.wall() + watched.now
        await watched.until(at + 70)
        lists = [asked for asked in watched.asked if asked.job_id is None and asked.kind == "import"]
        assert [asked for asked in lists if at + 1 < asked.at <= at + 65]


@in_virtual_time
async def test_a_list_serves_the_jobs_that_are_due() -> None:
    """Looking for others' jobs costs no reads beside those that follow a known one."""
    async with Watched("seen") as alone:
        alone.create("own")
        await alone.until(600)
    async with Watched("all") as watched:
        watched.create("own")
        await watched.until(600)
        imports = [asked for asked in watched.asked if asked.kind == "import"]
        assert len(imports) <= len(alone.asked) + 1
        assert len([asked for asked in imports if asked.job_id is None]) >= 4
        assert "own" in watched.reads()
