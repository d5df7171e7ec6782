"""What a gateway does when the store is back: nobody's newer state is lost, no end, and no time."""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import pairwise

from gateway.jobs.fleet_ledger import SPACE
from gateway.jobs.stored import decoded
from tests.support.job_answers import ended, job
from tests.support.offices import TOLD_WITHIN, Office, close, offices, told
from tests.support.peers import Meeting, MemoryPeers
from tests.support.virtual_time import in_virtual_time


def kept(meeting: Meeting) -> dict[str, str]:
    """Statuses by job, as the store has them."""
    records = [decoded(value) for value in meeting.spaces[SPACE].values()]
    return {record.id: record.status for record in records if record is not None}


@in_virtual_time
async def test_who_returns_takes_nothing_back() -> None:
    """What a gateway saw while it was cut off does not replace what the others saw later."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a", "notstarted"))
    await asyncio.sleep(0.1)
    one.peers.cut_off()
    one.sees(job("a", "running"))
    two.sees(ended("a", 1))
    await asyncio.sleep(TOLD_WITHIN)
    one.peers.returns()
    assert kept(meeting) == {"a": "succeeded"}
    await asyncio.sleep(TOLD_WITHIN)
    assert kept(meeting) == {"a": "succeeded"}
    assert one.status("a") == "succeeded"
    assert (await Office(meeting).open()).status("a") == "succeeded"
    await close(one, two)


@in_virtual_time
async def test_a_write_that_came_late_does_not_stay() -> None:
    """An old state that replaced a newer one in the store is replaced by it again, by one gateway."""
    meeting = Meeting()
    all_of_them = await offices(meeting, 5)
    all_of_them[0].sees(job("a", "running"))
    await asyncio.sleep(0.1)
    ((key, old),) = meeting.spaces[SPACE].items()
    all_of_them[1].sees(ended("a", 1))
    await asyncio.sleep(TOLD_WITHIN)
    meeting.asked.clear()
    all_of_them[0].peers.put(SPACE, key, old, 60.0)
    assert kept(meeting) == {"a": "running"}
    await asyncio.sleep(TOLD_WITHIN)
    assert kept(meeting) == {"a": "succeeded"}
    assert meeting.asked["put"] == 2
    assert told(*all_of_them) == {"a": 1}
    await close(*all_of_them)


@in_virtual_time
async def test_gateways_that_disagree_leave_it_at_that() -> None:
    """Two ends of one job, which the upstream never tells, are not put against each other for ever."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"))
    await asyncio.sleep(0.1)
    one.sees(ended("a", 1))
    two.sees(ended("a", 1, status="failed"))
    await asyncio.sleep(TOLD_WITHIN)
    meeting.asked.clear()
    await asyncio.sleep(TOLD_WITHIN)
    assert {one.status("a"), two.status("a")} == {"succeeded", "failed"}
    assert meeting.asked["put"] == 0
    assert told(one, two) == {"a": 1}
    await close(one, two)


@in_virtual_time
async def test_who_returns_tells_what_the_others_lack() -> None:
    """What only a gateway that was cut off saw is everybody's once it is back."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"))
    await asyncio.sleep(0.1)
    one.peers.cut_off()
    one.sees(ended("a", 1), job("b"))
    await asyncio.sleep(TOLD_WITHIN)
    one.peers.returns()
    await asyncio.sleep(TOLD_WITHIN)
    assert kept(meeting) == {"a": "succeeded", "b": "running"}
    assert (two.status("a"), two.status("b")) == ("succeeded", "running")
    assert told(one, two) == {"a": 1}
    await close(one, two)


@in_virtual_time
async def test_a_job_that_left_while_cut_off_leaves_everywhere() -> None:
    """A deletion through a gateway that was cut off is known to the others once it is back."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(ended("a", 1))
    await asyncio.sleep(1)
    one.peers.cut_off()
    one.ledger.left("import", "a")
    await asyncio.sleep(1)
    one.peers.returns()
    await asyncio.sleep(TOLD_WITHIN)
    assert two.status("a") is None
    await close(one, two)


@in_virtual_time
async def test_an_end_is_not_lost_with_a_gateway_that_stops_while_the_store_is_away() -> None:
    """What was seen here and cannot be claimed is told, if it was asked for before or not."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"), job("b"))
    await asyncio.sleep(0.1)
    meeting.goes()
    one.sees(ended("a", 1), ended("b", 2))
    await asyncio.sleep(1)
    await close(one)
    assert told(one) == {"a": 1, "b": 1}
    await close(two)


@in_virtual_time
async def test_what_another_one_saw_is_left_to_it() -> None:
    """A gateway that stops tells nothing that it only heard of."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"))
    await asyncio.sleep(0.1)
    meeting.done["finish:import/a/" + str(one.ledger.newest(1)[0].created)] = one.peers
    one.sees(ended("a", 1))
    await asyncio.sleep(0.0015)
    meeting.goes()
    await close(two)
    assert told(two) == {}
    await close(one)


@in_virtual_time
async def test_stopped_at_the_moment_of_a_claim_it_leaves_to_others_what_it_only_heard_of() -> None:
    """The store goes while an end that another gateway saw is claimed: it is not told on the way out."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"))
    await asyncio.sleep(0.1)
    one.sees(ended("a", 1))
    await asyncio.sleep(0)
    one.peers.cut_off()
    meeting.asked.clear()
    for _ in range(20_000):
        if meeting.asked["claim"]:
            break
        await asyncio.sleep(0.0005)
    assert meeting.asked["claim"]
    meeting.goes()
    await close(two)
    assert told(two) == {}
    await close(one)


@in_virtual_time
async def test_closed_it_claims_nothing() -> None:
    """News that comes after the end starts no claim."""
    meeting = Meeting()
    one, two = await offices(meeting, 2)
    one.sees(job("a"))
    await close(one)
    meeting.asked.clear()
    one.sees(ended("a", 1))
    await asyncio.sleep(0.01)
    assert told(one) == {}
    assert meeting.asked["claim"] == 0
    await asyncio.sleep(TOLD_WITHIN)
    assert told(one, two) == {"a": 1}
    await close(two)


class Counted(dict[str, bytes]):
    """Entries, and how many were looked at."""

    looked = 0

    def values(self) -> Iterator[bytes]:  # type: ignore[override]
        for value in super().values():
            self.looked += 1
            yield value


class CountingPeers(MemoryPeers):
    """Others whose entries are counted when they are looked at."""

    entries = Counted()
    come: asyncio.Event

    async def load(self, space: str) -> Mapping[str, bytes] | None:
        self.entries = Counted(await super().load(space) or {})
        self.come.set()
        return self.entries


@in_virtual_time
async def test_a_return_leaves_the_loop_to_others() -> None:
    """A thousand records are looked at once each, and a hundred at a time."""
    meeting = Meeting()
    (one,) = await offices(meeting, 1)
    one.sees(*(job(f"j{number}") for number in range(1_000)))
    peers = CountingPeers(meeting, 2)
    peers.come = asyncio.Event()
    meeting.members.append(peers)
    two = await Office(meeting, peers=peers).open()
    peers.come.clear()
    peers.cut_off()
    peers.returns()
    await peers.come.wait()
    steps = [0]
    while steps[-1] < 1_000 and len(steps) < 1_000:
        steps.append(peers.entries.looked)
        await asyncio.sleep(0)
    await asyncio.sleep(1)
    assert peers.entries.looked == 1_000
    assert max(after - before for before, after in pairwise(steps)) <= 101
    await close(one, two)
