"""Claims: one send of a write at a time, and what its outcome means for the next."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.exchange import RawHeaders
from gateway.jobs.writes import Claim, Fingerprint, Recorded, WritesOnce
from gateway.jobs.writes.record import Clocks
from gateway.jobs.writes.shelf import Shelf
from tests.support.job_writes import NOON, GatedStore, Writes, arriving, deletion, import_job, put, told

CREATED = Recorded(201, [(b"content-type", b"application/json")], import_job())


async def succeed(writes: WritesOnce, fingerprint: Fingerprint, recorded: Recorded | None = CREATED) -> None:
    """A send that went well."""
    async with await writes.claim(fingerprint) as claim:
        await claim.sending()
        claim.succeeded(recorded, fingerprint.job_id)


async def lose(writes: WritesOnce, fingerprint: Fingerprint) -> None:
    """A send of which nothing came back."""
    async with await writes.claim(fingerprint) as claim:
        await claim.sending()


async def known(writes: WritesOnce, fingerprint: Fingerprint) -> tuple[Recorded | None, float | None]:
    """What the next send of the write would be told."""
    async with await writes.claim(fingerprint) as claim:
        return claim.recorded, claim.unknown_since


async def test_a_success_is_given_again() -> None:
    """The next claim of the write has the answer of the first, and no claim of another write."""
    writes = Writes()
    await succeed(writes.once, put())
    assert await known(writes.once, put()) == (CREATED, None)
    assert await known(writes.once, put(b"call-2")) == (None, None)


async def test_a_write_that_somebody_is_at_says_so() -> None:
    """Who would have to wait for a claim can know it before: the write may be on its way."""
    writes = Writes()
    assert not writes.once.is_claimed(put())
    async with await writes.once.claim(put()):
        assert writes.once.is_claimed(put())
        assert not writes.once.is_claimed(put(b"call-2"))
    assert not writes.once.is_claimed(put())


async def test_a_write_that_was_sent_before_may_have_run() -> None:
    """An exchange that has sent nothing itself is not told as unsent while an earlier send is in doubt."""
    exchange = arriving("POST", b"/jobs/deletions")
    assert not exchange.may_have_run
    exchange.sent_before = True
    assert exchange.may_have_run


async def test_a_definite_no_leaves_nothing() -> None:
    """After a refusal the write is as if it had never been sent, in the store too."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        await claim.sending()
        claim.refused()
    assert await known(writes.once, put()) == (None, None)
    assert writes.stored() == {}
    assert len(writes.once) == 0


async def ended(claim: Claim) -> None:
    claim.unknown()


async def broken(claim: Claim) -> None:
    raise OSError("the connection broke")


async def cancelled(claim: Claim) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("ending", [ended, broken, cancelled])
async def test_a_send_without_an_outcome_is_unknown(ending: Callable[[Claim], object]) -> None:
    """Whether it was said, raised or cancelled: the next claim is told when the write left."""
    writes = Writes()

    async def attempt() -> None:
        async with await writes.once.claim(put()) as claim:
            await claim.sending()
            writes.clocks.pass_by(7)
            await ending(claim)  # type: ignore[misc]

    await asyncio.gather(attempt(), return_exceptions=True)
    assert await known(writes.once, put()) == (None, NOON)


async def test_what_was_not_sent_leaves_nothing() -> None:
    """A claim left before `sending`, even by an error, is as if it had never been."""
    writes = Writes()
    with pytest.raises(OSError, match="no turn"):
        async with await writes.once.claim(put()):
            raise OSError("no turn")
    assert await known(writes.once, put()) == (None, None)
    assert writes.store.changes == 0


async def test_the_first_unknown_send_counts() -> None:
    """A write sent again after its job was read, and lost again, is unknown since its first send."""
    writes = Writes()
    await lose(writes.once, put())
    writes.clocks.pass_by(60)
    await lose(writes.once, put())
    assert await known(writes.once, put()) == (None, NOON)


async def test_a_refusal_leaves_an_earlier_unknown_send_unknown() -> None:
    """The first send may have been carried out after the job was read: its refusal then means just that."""
    writes = Writes()
    await lose(writes.once, put())
    writes.clocks.pass_by(60)
    async with await writes.once.claim(put()) as claim:
        await claim.sending()
        claim.refused()
    assert await known(writes.once, put()) == (None, NOON)
    writes.restart()
    assert await known(writes.once, put()) == (None, NOON)


async def test_the_first_of_two_sends_in_one_claim_counts() -> None:
    """An attempt after the first, such as one with a new token, is no send of its own."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        await claim.sending()
        writes.clocks.pass_by(5)
        await claim.sending()
    assert await known(writes.once, put()) == (None, NOON)


async def test_a_write_goes_again_after_its_refusal_within_one_claim() -> None:
    """A second send of the same claim is an intent of its own."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        await claim.sending()
        claim.refused()
        writes.clocks.pass_by(5)
        await claim.sending()
    assert await known(writes.once, put()) == (None, NOON + 5)


async def test_an_unknown_send_that_is_found_done_is_a_success() -> None:
    """Once the job's reading has answered the write, that answer is the record."""
    writes = Writes()
    await lose(writes.once, put())
    async with await writes.once.claim(put()) as claim:
        claim.succeeded(CREATED, "j1")
    assert await known(writes.once, put()) == (CREATED, None)


@pytest.mark.parametrize("recorded", [None, Recorded(201, [], b"x" * 65_537)], ids=["none", "too large"])
async def test_a_success_whose_answer_is_not_kept_is_known_as_done(recorded: Recorded | None) -> None:
    """The next claim reads the job, and knows that the write must not go again."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        await claim.sending()
        writes.clocks.pass_by(9)
        claim.succeeded(recorded, "j1")
    async with await writes.once.claim(put()) as claim:
        assert (claim.recorded, claim.unknown_since, claim.done) == (None, NOON, True)


async def test_an_unknown_send_is_not_known_as_done() -> None:
    """Only a success is."""
    writes = Writes()
    await lose(writes.once, put())
    async with await writes.once.claim(put()) as claim:
        assert not claim.done


async def test_the_second_waits_for_the_first() -> None:
    """While a write is in flight its repeat waits, and then has the answer; other writes go on."""
    writes = Writes()
    first = await writes.once.claim(put())
    await first.sending()
    second = asyncio.create_task(known(writes.once, put()))
    assert await known(writes.once, put(b"call-2")) == (None, None)
    assert not second.done()
    async with first:
        first.succeeded(CREATED, "j1")
    assert await second == (CREATED, None)


async def test_those_that_wait_come_one_by_one_in_order() -> None:
    """An end wakes exactly the next."""
    writes = Writes()
    held, order = [], []

    async def take(name: str) -> None:
        claim = await writes.once.claim(put())
        held.append(claim)
        order.append(name)

    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    for _ in range(10):
        await asyncio.sleep(0)
    for expected in ("a", "ab", "abc"):
        assert "".join(order) == expected
        async with held.pop():
            pass
        for _ in range(10):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("woken", [False, True], ids=["while it waits", "when its turn has come"])
async def test_one_that_waits_and_is_cancelled_leaves(*, woken: bool) -> None:
    """Its place goes to the one after it, also where it is cancelled in the moment of being woken."""
    writes = Writes()
    first = await writes.once.claim(put())
    leaves = asyncio.create_task(known(writes.once, put()))
    stays = asyncio.create_task(known(writes.once, put()))
    await asyncio.sleep(0)
    if woken:
        async with first:
            pass
        leaves.cancel()
    else:
        leaves.cancel()
        await asyncio.sleep(0)
        async with first:
            pass
    assert await asyncio.wait_for(stays, 5) == (None, None)
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert await asyncio.wait_for(known(writes.once, put()), 5) == (None, None)


async def test_one_that_has_left_holds_nothing() -> None:
    """After a wait was cancelled the record is void and expires like any other."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        leaves = asyncio.create_task(known(writes.once, put()))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        await claim.sending()
        claim.succeeded(CREATED, "j1")
    writes.once.void("import", "j1")
    assert writes.stored() == {}


async def test_another_write_to_the_job_voids_the_record() -> None:
    """After a delete of the same job went out, neither a success nor an unknown outcome is remembered."""
    writes = Writes()
    gone = told(arriving("DELETE", request_id=b"call-9"))
    await succeed(writes.once, put())
    await lose(writes.once, put(b"call-2"))
    await succeed(writes.once, put(path=b"/jobs/imports/j2"))
    await lose(writes.once, gone)
    writes.once.void("import", "j1", gone)
    assert await known(writes.once, put()) == (None, None)
    assert await known(writes.once, put(b"call-2")) == (None, None)
    assert await known(writes.once, put(path=b"/jobs/imports/j2")) == (CREATED, None)
    assert await known(writes.once, gone) == (None, NOON)
    writes.restart()
    assert await known(writes.once, put()) == (None, None)


async def test_a_write_without_a_fingerprint_voids_too() -> None:
    """A client without request ids changes the job as well."""
    writes = Writes()
    await succeed(writes.once, put())
    writes.once.void("import", "j1")
    assert await known(writes.once, put()) == (None, None)


async def test_only_the_job_of_that_kind_and_id_is_meant() -> None:
    """Ids of imports and deletions are apart; a deletion whose id is unknown voids nothing."""
    writes = Writes()
    await succeed(writes.once, put())
    writes.once.void("deletion", "j1")
    writes.once.void("import", "J1")
    writes.once.void("import", None)
    assert await known(writes.once, put()) == (CREATED, None)


async def test_a_deletion_is_known_by_the_id_of_its_answer() -> None:
    """A deletion without operation-id gets its name from the answer; a write of that name voids it."""
    writes = Writes()
    async with await writes.once.claim(told(deletion())) as claim:
        await claim.sending()
        claim.succeeded(CREATED, "made-up-there")
    writes.once.void("deletion", "made-up-there", told(deletion(b"made-up-there", request_id=b"call-2")))
    assert await known(writes.once, told(deletion())) == (None, None)


async def test_a_write_in_flight_is_void_once_nobody_is_at_it() -> None:
    """Its answer still reaches its repeat that waits, and is forgotten after that."""
    writes = Writes()
    first = await writes.once.claim(put())
    await first.sending()
    second = asyncio.create_task(known(writes.once, put()))
    await asyncio.sleep(0)
    writes.once.void("import", "j1")
    assert writes.stored(), "a crash now must not forget that it was sent"
    async with first:
        first.succeeded(CREATED, "j1")
    assert await second == (CREATED, None)
    assert await known(writes.once, put()) == (None, None)
    assert writes.stored() == {}


async def test_a_send_after_the_other_write_is_not_void() -> None:
    """A claim that waited for its turn while another write went out is the newest write to the job."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        writes.once.void("import", "j1")
        await claim.sending()
        claim.succeeded(CREATED, "j1")
    assert await known(writes.once, put()) == (CREATED, None)


async def test_a_refused_send_does_not_bring_back_what_was_void() -> None:
    """What was unknown before the other write is void, though the write was tried again since."""
    writes = Writes()
    await lose(writes.once, put())
    async with await writes.once.claim(put()) as claim:
        writes.once.void("import", "j1")
        await claim.sending()
        claim.refused()
    assert await known(writes.once, put()) == (None, None)


async def test_a_record_lasts_ten_minutes() -> None:
    """After that the write is a new one, in the store too."""
    writes = Writes()
    await succeed(writes.once, put())
    await lose(writes.once, put(b"call-2"))
    writes.clocks.pass_by(599)
    assert await known(writes.once, put()) == (CREATED, None)
    assert await known(writes.once, put(b"call-2")) == (None, NOON)
    writes.clocks.pass_by(1)
    assert await known(writes.once, put()) == (None, None)
    assert await known(writes.once, put(b"call-2")) == (None, None)
    assert writes.stored() == {}


async def test_an_open_claim_does_not_expire() -> None:
    """A write that is in flight for longer than records are kept still makes its repeat wait."""
    writes = Writes()
    async with await writes.once.claim(put()) as claim:
        await claim.sending()
        writes.clocks.pass_by(3_600)
        second = asyncio.create_task(known(writes.once, put()))
        await asyncio.sleep(0)
        assert not second.done()
    await second


@pytest.mark.parametrize("step", [-7_200.0, 7_200.0])
async def test_setting_the_wall_clock_neither_ends_nor_lengthens_a_record(step: float) -> None:
    """While the gateway runs only time that has passed counts; the send is told by the new clock."""
    writes = Writes()
    await succeed(writes.once, put())
    await lose(writes.once, put(b"call-2"))
    writes.clocks.wall += step
    writes.clocks.pass_by(300)
    assert await known(writes.once, put()) == (CREATED, None)
    assert await known(writes.once, put(b"call-2")) == (None, NOON + step)
    writes.clocks.pass_by(300)
    assert await known(writes.once, put()) == (None, None)


async def test_the_oldest_done_leave_first() -> None:
    """With too many records those of success go, oldest first, and unknown ones only when none is left."""
    writes = Writes(most=3)
    calls = [put(b"call-%d" % number) for number in range(6)]
    await lose(writes.once, calls[0])
    for fingerprint in calls[1:5]:
        writes.clocks.pass_by(1)
        await succeed(writes.once, fingerprint)
    assert len(writes.once) == len(writes.stored()) == 3
    assert await known(writes.once, calls[0]) == (None, NOON)
    assert [(await known(writes.once, call))[0] for call in calls[1:5]] == [None, None, CREATED, CREATED]
    for fingerprint in [*calls[1:4], calls[5]]:
        writes.clocks.pass_by(1)
        await lose(writes.once, fingerprint)
    assert len(writes.once) == 3
    assert await known(writes.once, calls[0]) == (None, None)


@pytest.mark.parametrize("sent", [True, False], ids=["in flight", "looked at"])
async def test_an_open_claim_never_leaves(*, sent: bool) -> None:
    """However many writes follow, one that is claimed keeps its record, though it is the oldest."""
    writes = Writes(most=2)
    await succeed(writes.once, put(b"open"))
    async with await writes.once.claim(put(b"open")) as claim:
        if sent:
            await claim.sending()
        for number in range(10):
            writes.clocks.pass_by(1)
            await succeed(writes.once, put(b"call-%d" % number))
        assert put(b"open").digest in writes.stored()
        if sent:
            claim.succeeded(CREATED, "j1")
    assert len(writes.once) == 2
    assert await known(writes.once, put(b"open")) == (CREATED, None)


def test_a_write_of_which_nothing_is_known_takes_no_room() -> None:
    """Once nobody is at it any more, it is not there."""
    shelf = Shelf(GatedStore(), Clocks(lambda: NOON, lambda: 5.0), keep=600, most=1)
    entry = shelf.entry(put())
    assert shelf.entry(put()) is entry
    entry.claims = 1
    shelf.leave(entry)
    assert shelf.entry(put()) is not entry


def test_an_answer_is_kept_without_what_belongs_to_one_connection() -> None:
    """Hop-by-hop fields, those named in Connection and cookies are not given to anybody else."""
    headers: RawHeaders = [
        (b"content-type", b"application/json"),
        (b"set-cookie", b"who=me"),
        (b"connection", b"close, x-hop"),
        (b"x-hop", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"operation-location", b"https://up/jobs/deletions/d"),
    ]
    kept = Recorded.of(202, headers, b"{}")
    assert kept.headers == [headers[0], headers[5]]


def test_an_answer_is_not_shown() -> None:
    """Its representation has neither headers nor body, which may hold a SAS."""
    assert repr(CREATED) == "Recorded(status=201)"
