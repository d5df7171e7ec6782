"""Shared reads: who asks the upstream, who waits, who gets what."""

import asyncio

import pytest

from gateway import failures
from gateway.exchange import Exchange
from gateway.jobs.governor import Priority
from gateway.jobs.reads import Caller, ReadAnswer, Unshared, read_key
from tests.support.desk import QUERY, TRACE, Desk, key_of, read_of
from tests.support.token_sources import settle


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_identical_reads_are_one(desk: Desk) -> None:
    """Reads that ask for the same while one is under way become one upstream request."""
    first, second = desk.ask(), desk.ask()
    await desk.upstream.answers(body=b'{"id":"a"}')
    assert [task.result().how for task in (first, second)] == ["miss", "collapsed"]
    assert {task.result().answer.body for task in (first, second)} == {b'{"id":"a"}'}
    assert desk.upstream.asked == ["/jobs/imports/a"]


@pytest.mark.parametrize(
    "other",
    [
        read_of(query=QUERY + b"&x=1"),
        read_of(path="/jobs/imports/A"),
        read_of(path="/jobs/imports/%61"),
        read_of(headers=[(b"accept", b"text/plain")]),
        read_of(headers=[(b"max-items-per-page", b"5")]),
    ],
)
async def test_reads_that_differ_are_two(other: Exchange) -> None:
    """Path and query as they came, and the headers that an answer depends on, tell reads apart."""
    desk = Desk(rate=0)
    desk.ask()
    desk.ask(other)
    await settle()
    assert len(desk.upstream.asked) == 2
    await desk.reads.aclose()


@pytest.mark.parametrize(
    "header",
    [
        (b"cache-control", b"no-cache"),
        (b"cache-control", b"max-age=0"),
        (b"pragma", b"no-cache"),
        (b"if-none-match", b'"1"'),
        (b"range", b"bytes=0-1"),
        (b"content-length", b"2"),
    ],
)
def test_reads_of_a_kind_of_their_own_are_not_shared(header: tuple[bytes, bytes]) -> None:
    """Who asks for a fresh, conditional or partial answer, or sends a body, asks the upstream."""
    assert read_key(read_of(headers=[header]), [header]) is None


@pytest.mark.parametrize("path", ["/digitaltwins/a", "/jobs/imports/a/cancel", "/jobs"])
def test_only_reads_of_jobs_are_shared(path: str) -> None:
    """Other routes are none of this room's business."""
    assert read_key(read_of(path), []) is None


async def test_a_kept_answer_is_given_until_its_time(desk: Desk) -> None:
    """An answer is given again while it is younger than max_staleness, counted from its request."""
    first = desk.ask()
    await settle()
    await desk.timers.elapse(0.6)
    await desk.upstream.answers(body=b"1")
    assert first.result().how == "miss"
    await desk.timers.elapse(0.39)
    hit = await desk.ask()
    assert (hit.how, hit.answer.body) == ("hit", b"1")
    assert hit.age == pytest.approx(0.99)
    await desk.timers.elapse(0.02)
    later = desk.ask()
    await settle()
    assert not later.done()
    await desk.reads.aclose()


async def test_a_job_that_has_ended_may_be_kept_longer() -> None:
    """terminal_staleness is for answers that show a job's end, and for no others."""
    desk = Desk(terminal_staleness=60)

    async def fetch(exchange: Exchange) -> ReadAnswer:
        status = "succeeded" if exchange.raw_path.endswith(b"over") else "running"
        return ReadAnswer(200, [], b"{}", desk.timers.now, desk.timers.now, TRACE, job_status=status)

    for path, expected in (("/jobs/imports/over", "hit"), ("/jobs/imports/runs", "miss")):
        for _ in range(2):
            exchange = read_of(path)
            given = asyncio.ensure_future(
                desk.reads.answer(key_of(exchange), Caller(exchange, fetch, Priority.READ, 30.0))
            )
            await desk.timers.elapse(30)
        assert given.result().how == expected


async def test_nothing_is_kept_without_staleness() -> None:
    """max_staleness 0 shares what is under way and keeps nothing."""
    desk = Desk(rate=0, max_staleness=0, terminal_staleness=0)
    first = desk.ask()
    await desk.upstream.answers()
    desk.ask()
    await settle()
    assert first.result().how == "miss"
    assert len(desk.upstream.asked) == 2
    await desk.reads.aclose()


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_errors_are_given_to_those_who_wait_only(status: int) -> None:
    """An error is shared by those already waiting, and kept for nobody."""
    desk = Desk(rate=0)
    first, second = desk.ask(), desk.ask()
    await desk.upstream.answers(status)
    assert {task.result().answer.status for task in (first, second)} == {status}
    third = desk.ask()
    await desk.upstream.answers()
    assert third.result().how == "miss"


async def test_a_failure_is_everybodys_own() -> None:
    """Those who wait get the failure, each an exception of its own."""
    desk = Desk(rate=0)
    tasks = [desk.ask() for _ in range(3)]
    await desk.upstream.breaks(failures.UpstreamUnreachable("away", inner="Connect", retry_after=2))
    errors = [task.exception() for task in tasks]
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert isinstance(error, failures.UpstreamUnreachable)
        assert (error.message, error.inner, error.retry_after) == ("away", "Connect", 2)


async def test_a_leader_that_leaves_fails_nobody(desk: Desk) -> None:
    """The first caller's cancellation does not fail the others."""
    leader, follower = desk.ask(), desk.ask()
    await settle()
    leader.cancel()
    await desk.upstream.answers(body=b"x")
    assert follower.result().answer.body == b"x"
    assert leader.cancelled()


async def test_a_read_that_nobody_wants_is_given_up(desk: Desk) -> None:
    """When the last caller leaves, the upstream request is cancelled and nothing is kept."""
    task = desk.ask()
    await settle()
    task.cancel()
    await settle()
    assert desk.upstream.waiting[0].cancelled()
    assert desk.timers.armed == 0


async def test_a_read_that_waits_for_its_turn_is_not_sent_for_those_who_left(desk: Desk) -> None:
    """A caller that leaves the queue costs no turn."""
    desk.ask(read_of("/jobs/imports/first"))
    waiting = desk.ask(read_of("/jobs/imports/second"))
    third = desk.ask(read_of("/jobs/imports/third"))
    await settle()
    waiting.cancel()
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked == ["/jobs/imports/first", "/jobs/imports/third"]
    assert not third.done()
    await desk.reads.aclose()


async def test_after_a_write_nothing_from_before_is_given(desk: Desk) -> None:
    """A write drops what is kept; a read that began before it is neither joined nor kept after it."""
    before = desk.ask()
    await settle()
    desk.reads.forget()
    after = desk.ask()
    await desk.timers.elapse(1.1)
    await desk.upstream.answers(body=b"old")
    assert before.result().answer.body == b"old"
    assert not after.done()
    await desk.upstream.answers(body=b"new")
    assert after.result().answer.body == b"new"
    assert (await desk.ask()).answer.body == b"new"
    desk.reads.forget()
    again = desk.ask()
    await settle()
    assert not again.done()
    await desk.reads.aclose()


async def test_each_caller_has_its_own_patience(desk: Desk) -> None:
    """Who cannot wait gets 429 at its deadline with the time that is left; the others wait on."""
    desk.ask(read_of("/jobs/imports/first"))
    short = desk.ask(patience=0.5)
    long = desk.ask(patience=5)
    await desk.timers.elapse(0.6)
    error = short.exception()
    assert isinstance(error, failures.RateLimited)
    assert error.retry_after is not None
    assert error.retry_after > 0
    await desk.timers.elapse(0.5)
    await desk.upstream.answers()
    await desk.upstream.answers(body=b"y")
    assert long.result().answer.body == b"y"


async def test_no_patience_still_takes_a_free_turn(desk: Desk) -> None:
    """`Prefer: wait=0` is served where no wait is needed."""
    task = desk.ask(patience=0)
    await desk.timers.elapse(0.0)
    await desk.upstream.answers()
    assert task.result().how == "miss"


async def test_who_cannot_be_served_in_time_is_told_at_once() -> None:
    """Where the queue is certainly too long for a caller it is refused without waiting."""
    desk = Desk(batch=False)
    for number in range(5):
        desk.ask(read_of(f"/jobs/imports/{number}"))
    await settle()
    late = desk.ask(read_of("/jobs/imports/late"), patience=2)
    await settle()
    assert isinstance(late.exception(), failures.RateLimited)
    await desk.reads.aclose()


async def test_a_429_is_met_again_by_those_who_can_wait() -> None:
    """After a 429 the read goes once more when the pause is over; who cannot wait gets the 429."""
    desk = Desk(pause=5)
    patient, hasty = desk.ask(patience=30), desk.ask(patience=2)
    await desk.upstream.answers(429, body=b"slow down")
    assert hasty.result().answer.status == 429
    newcomer = desk.ask(patience=2)
    await settle()
    assert isinstance(newcomer.exception(), failures.RateLimited)
    await desk.timers.elapse(4.9)
    assert len(desk.upstream.asked) == 1
    await desk.timers.elapse(0.2)
    await desk.upstream.answers(body=b"z")
    assert patient.result().answer.body == b"z"


async def test_without_a_rate_a_429_passes() -> None:
    """With the governor off a 429 is an answer like any other."""
    desk = Desk(rate=0)
    task = desk.ask()
    await desk.upstream.answers(429)
    assert task.result().answer.status == 429


class _Rest:
    closed = False

    async def read(self) -> bytes | None:
        return None

    async def aclose(self, error: BaseException | None = None) -> None:
        assert error is None
        self.closed = True


async def test_what_is_too_large_is_not_shared() -> None:
    """An answer too large to be kept goes to the first caller; the others ask for themselves."""
    desk = Desk(rate=0)
    first, second = desk.ask(), desk.ask()
    rest = _Rest()
    await desk.upstream.answers(rest=rest)
    assert first.result().answer.rest is rest
    assert isinstance(second.exception(), Unshared)
    again = desk.ask()
    await settle()
    assert not again.done()
    await desk.reads.aclose()


async def test_an_apps_read_speeds_up_the_watchers(desk: Desk) -> None:
    """An app that joins a read of the watcher's gives it the app's priority."""
    desk.ask(read_of("/jobs/imports/first"))
    desk.ask(read_of("/jobs/imports/watched", query=QUERY + b"&w"), priority=Priority.WATCH)
    await desk.timers.elapse(0.1)
    desk.ask(read_of("/jobs/imports/other", query=QUERY + b"&o"))
    await settle()
    desk.ask(read_of("/jobs/imports/watched", query=QUERY + b"&w"))
    await desk.timers.elapse(1.1)
    assert desk.upstream.asked[1] == "/jobs/imports/watched"
    await desk.reads.aclose()


async def test_personal_headers_stay_with_the_one_they_are_for(desk: Desk) -> None:
    """Set-Cookie and the echoed client request id of one caller never reach another."""
    mine = read_of(headers=[(b"x-ms-client-request-id", b"mine")])
    yours = read_of(headers=[(b"x-ms-client-request-id", b"yours")])
    first, second = desk.ask(mine), desk.ask(yours)
    await desk.upstream.answers(
        headers=[(b"set-cookie", b"s=1"), (b"x-ms-client-request-id", b"mine"), (b"x-ms-request-id", b"r")]
    )
    told = first.result().headers(mine)
    assert (b"set-cookie", b"s=1") in told
    other = second.result().headers(yours)
    assert not any(name == b"set-cookie" for name, _ in other)
    assert [value for name, value in other if name == b"x-ms-client-request-id"] == [b"yours"]
    assert (b"x-ms-request-id", b"r") in other


async def test_cache_status_says_how(desk: Desk) -> None:
    """`Cache-Status` names miss, collapsed and hit; a hit has an Age in whole seconds."""
    exchange = read_of()
    first, second = desk.ask(exchange), desk.ask(exchange)
    await desk.upstream.answers()
    hit = await desk.ask(exchange)
    told = [given.headers(exchange) for given in (first.result(), second.result(), hit)]
    assert (b"cache-status", b"adt-gateway; fwd=miss") in told[0]
    assert (b"cache-status", b"adt-gateway; fwd=miss; collapsed") in told[1]
    assert (b"cache-status", b"adt-gateway; hit") in told[2]
    assert not any(name == b"age" for name, _ in told[0] + told[1])
    assert (b"age", b"0") in told[2]


async def test_the_watcher_is_given_nothing_old() -> None:
    """The watcher asks the upstream where an app would get a kept answer."""
    desk = Desk(rate=0, max_staleness=60)
    desk.ask()
    await desk.upstream.answers(body=b"1")
    watched = desk.ask(priority=Priority.WATCH)
    await desk.upstream.answers(body=b"2")
    assert watched.result().answer.body == b"2"
    assert (await desk.ask()).answer.body == b"2"


async def test_a_read_that_was_sent_long_ago_is_not_joined() -> None:
    """Where the upstream is slow, a newcomer asks anew and does not get what is staler than configured."""
    desk = Desk()
    first = desk.ask()
    await desk.timers.elapse(0.9)
    joins = desk.ask()
    await desk.timers.elapse(0.2)
    asks = desk.ask()
    await settle()
    assert len(desk.upstream.asked) == 2
    await desk.upstream.answers(body=b"old")
    assert (first.result().answer.body, joins.result().answer.body) == (b"old", b"old")
    await desk.upstream.answers(body=b"new")
    assert asks.result().answer.body == b"new"
    assert (await desk.ask()).answer.body == b"new"
