"""Job ends and records in a fleet: all gateways know them, and each end is told once."""

import asyncio
import random

from gateway.jobs.duty import LEASE, Duty
from gateway.jobs.fleet_ledger import SPACE
from tests.support.job_answers import START, at, ended, job
from tests.support.offices import TOLD_WITHIN, Office, close, offices, told
from tests.support.peers import Meeting
from tests.support.stores import KeepingStore
from tests.support.virtual_time import in_virtual_time


@in_virtual_time
async def test_all_know_what_one_sees() -> None:
    """A job that one gateway created is in every ledger, with the request that did it, and so is its way."""
    meeting = Meeting()
    one, two, three = await offices(meeting)
    one.sees(job("a", "notstarted"), operation="add")
    await asyncio.sleep(0.1)
    two.sees(job("a", "running"))
    await asyncio.sleep(0.1)
    records = [office.ledger.get("import", "a") for office in (one, two, three)]
    assert [record.status for record in records if record] == ["running"] * 3
    assert len({record.history for record in records if record}) == 1
    assert all(record.created_here and record.created_in for record in records if record)
    late = await Office(meeting).open()
    assert late.status("a") == "running"
    await close(one, two, three, late)


@in_virtual_time
async def test_an_end_is_told_once_whoever_sees_it() -> None:
    """All gateways see the same end at the same time: one tells it."""
    meeting = Meeting()
    all_of_them = await offices(meeting, 5)
    all_of_them[0].sees(job("a"))
    await asyncio.sleep(1)
    for office in all_of_them:
        office.sees(ended("a", 1))
    await asyncio.sleep(TOLD_WITHIN)
    assert told(*all_of_them) == {"a": 1}
    await close(*all_of_them)


@in_virtual_time
async def test_who_hears_that_it_is_told_claims_nothing() -> None:
    """An end costs one claim where one gateway sees it."""
    meeting = Meeting()
    all_of_them = await offices(meeting, 5)
    all_of_them[0].sees(job("a"))
    all_of_them[0].sees(ended("a", 1))
    await asyncio.sleep(TOLD_WITHIN)
    assert meeting.asked["claim"] == 1
    assert len(all_of_them[0].told) == 1
    await close(*all_of_them)


@in_virtual_time
async def test_no_end_is_lost_with_the_gateway_that_saw_it() -> None:
    """A gateway said that a job has ended, and was killed before it claimed that: another one tells it."""
    meeting = Meeting()
    one, two, three = await offices(meeting)
    one.sees(job("a"))
    await asyncio.sleep(0.1)
    one.sees(ended("a", 1))
    await asyncio.sleep(0)
    meeting.members.remove(one.peers)
    meeting.done.clear()
    one.peers.is_cut_off = True
    await asyncio.sleep(TOLD_WITHIN)
    assert told(two, three) == {"a": 1}
    await close(one, two, three)


@in_virtual_time
async def test_ends_wait_for_the_store() -> None:
    """What ended while the store was away is told once it is back, by one gateway; nothing before."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"), job("b"))
    await asyncio.sleep(0.1)
    meeting.goes()
    for office in (one, two):
        office.sees(ended("a", 1), ended("b", 2))
    await asyncio.sleep(60)
    assert told(one, two) == {}
    meeting.returns(empty=True)
    await asyncio.sleep(TOLD_WITHIN)
    assert told(one, two) == {"a": 1, "b": 1}
    assert len(meeting.spaces[SPACE]) == 2
    await close(one, two)


@in_virtual_time
async def test_what_was_not_told_before_a_restart_is_told_after_it() -> None:
    """The store was away to the end: the gateway after this one claims it."""
    meeting, store = Meeting(), KeepingStore()
    meeting.goes()
    one = await Office(meeting, store).open()
    one.sees(job("a"))
    one.sees(ended("a", 1))
    await asyncio.sleep(1)
    await close(one)
    meeting.returns()
    again = await Office(meeting, store).open()
    await asyncio.sleep(TOLD_WITHIN)
    assert told(one, again) == {"a": 1}
    await close(again)


@in_virtual_time
async def test_history_is_no_news() -> None:
    """A job that had ended before the gateways began is told by none of them."""
    meeting = Meeting()
    all_of_them = await offices(meeting)
    for office in all_of_them:
        office.sees(ended("a", -100, createdDateTime=at(-200)))
    await asyncio.sleep(TOLD_WITHIN)
    assert told(*all_of_them) == {}
    await close(*all_of_them)


@in_virtual_time
async def test_an_empty_store_is_filled_once() -> None:
    """After the store has lost all, the gateways put what they know, and not each of them all of it."""
    meeting = Meeting()
    all_of_them = await offices(meeting, 5)
    all_of_them[0].sees(*(job(f"j{number}") for number in range(50)))
    await asyncio.sleep(1)
    meeting.goes()
    meeting.returns(empty=True)
    meeting.asked.clear()
    await asyncio.sleep(5)
    assert len(meeting.spaces[SPACE]) == 50
    assert meeting.asked["put"] <= 100
    await close(*all_of_them)


@in_virtual_time
async def test_a_job_that_left_leaves_everywhere() -> None:
    """A job that was deleted through one gateway is gone from all ledgers."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(ended("a", 1))
    await asyncio.sleep(1)
    one.ledger.left("import", "a")
    await asyncio.sleep(0.1)
    assert two.status("a") is None
    await close(one, two)


@in_virtual_time
async def test_a_read_of_one_is_a_sighting_for_all() -> None:
    """Whoever follows jobs knows that others read them, though nothing was new."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"))
    await asyncio.sleep(20)
    one.sees(job("a"))
    await asyncio.sleep(0.1)
    mine, others = one.ledger.get("import", "a"), two.ledger.get("import", "a")
    assert mine
    assert others
    assert abs(mine.last_seen - others.last_seen) < 0.1
    assert others.last_seen > START + 19
    synced = two.ledger.snapshot().last_sync
    assert synced is not None
    assert abs(synced - mine.last_seen) < 0.1
    await close(one, two)


@in_virtual_time
async def test_rubbish_in_the_store_is_no_job() -> None:
    """What cannot be read is passed over."""
    meeting = Meeting()
    meeting.spaces[SPACE] = {"x": b"{", "y": b"\xff", "z": b"{}"}
    one, two = await offices(meeting, 2)
    one.peers.tell(SPACE, "x", b"[]")
    one.peers.tell("seen", "import", b"7")
    await asyncio.sleep(0.1)
    assert len(two.ledger) == 0
    await close(one, two)


def duties(meeting: Meeting, count: int = 3) -> list[Duty]:
    loop = asyncio.get_running_loop()
    chances = [random.Random(number) for number in range(count)]  # noqa: S311 - can be repeated
    return [Duty(meeting.join(), timers=loop, chance=each, changed=lambda: None) for each in chances]


@in_virtual_time
async def test_one_is_on_duty_and_replaced() -> None:
    """One gateway follows jobs; killed, another one does within ten seconds; ended in order, within three."""
    meeting = Meeting()
    all_of_them = duties(meeting)
    for duty in all_of_them:
        duty.start()
    await asyncio.sleep(60)
    (first,) = [duty for duty in all_of_them if duty.on]
    meeting.members[all_of_them.index(first)].is_cut_off = True
    others = [duty for duty in all_of_them if duty is not first]
    await asyncio.sleep(LEASE + 2.1)
    (second,) = [duty for duty in others if duty.on]
    await second.aclose()
    await asyncio.sleep(2.1)
    assert [duty.on for duty in others if duty is not second] == [True]
    for duty in all_of_them:
        await duty.aclose()


@in_virtual_time
async def test_without_the_store_each_is_on_duty() -> None:
    """Away, each follows by itself; back, one of them."""
    meeting = Meeting()
    all_of_them = duties(meeting)
    meeting.goes()
    for duty in all_of_them:
        duty.start()
    await asyncio.sleep(1)
    assert [duty.on for duty in all_of_them] == [True] * 3
    meeting.returns()
    await asyncio.sleep(5)
    assert sum(duty.on for duty in all_of_them) == 1
    for duty in all_of_them:
        await duty.aclose()
