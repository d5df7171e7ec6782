"""A write is one in the whole fleet: one gateway at a time is at it, and all know what came of it."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from gateway.jobs.stores import MemoryStore
from gateway.jobs.writes import KEEP, Fingerprint, FleetWrites, Recorded, WritesOnce
from gateway.jobs.writes.fleet import LEASE
from tests.support.job_writes import deletion, import_job, put, told
from tests.support.peers import Meeting, MemoryPeers
from tests.support.virtual_time import VirtualLoop, in_virtual_time

DELETION = told(deletion())
GONE = Recorded(202, [(b"operation-id", b"d")], b"{}")
CREATED = Recorded(201, [(b"content-type", b"application/json")], import_job())


class Counter:
    """One gateway."""

    def __init__(self, meeting: Meeting, peers: MemoryPeers | None = None) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.peers = peers or meeting.join()
        chance = random.Random(len(meeting.members))  # noqa: S311 - chance that can be repeated
        fleet = FleetWrites(self.peers, keep=KEEP, timers=loop, chance=chance)
        self.once = WritesOnce(MemoryStore(), clock=loop.wall, monotonic=loop.time, fleet=fleet)

    async def succeed(self, fingerprint: Fingerprint, answer: Recorded) -> None:
        async with await self.once.claim(fingerprint) as claim:
            await claim.sending()
            claim.succeeded(answer, fingerprint.job_id)

    async def known(self, fingerprint: Fingerprint) -> tuple[Recorded | None, bool, bool]:
        """The answer, whether a send is in doubt, whether it was done."""
        async with await self.once.claim(fingerprint) as claim:
            return claim.recorded, claim.unknown_since is not None, claim.done


async def counters(count: int = 2) -> list[Counter]:
    meeting = Meeting()
    return [Counter(meeting) for _ in range(count)]


async def close(*all_of_them: Counter) -> None:
    await asyncio.sleep(1)
    for counter in all_of_them:
        await counter.once.aclose()


@in_virtual_time
async def test_an_answer_is_given_again_by_any_gateway() -> None:
    """A repeat that comes to another gateway has the answer of the first send, at one that came later too."""
    one, two = await counters()
    await one.succeed(DELETION, GONE)
    assert await two.known(DELETION) == (GONE, False, True)
    three = Counter(one.peers.meeting)
    await three.once.open()
    one.peers.is_cut_off = two.peers.is_cut_off = True
    assert await three.known(DELETION) == (GONE, False, True)
    await close(one, two, three)


@in_virtual_time
async def test_no_blob_uri_is_in_the_store() -> None:
    """Of an import it is known that it was done; what it is answered with is read from the job."""
    one, two = await counters()
    await one.succeed(put(), CREATED)
    assert await two.known(put()) == (None, True, True)
    assert b"blob" not in b"".join(one.peers.meeting.spaces["writes"].values())
    await close(one, two)


@in_virtual_time
async def test_one_gateway_at_a_time() -> None:
    """A repeat at another gateway waits until the first send is over, however long it takes."""
    one, two = await counters()
    order = []
    async with await one.once.claim(DELETION) as claim:
        await claim.sending()
        waiting = asyncio.ensure_future(two.known(DELETION))
        await asyncio.sleep(5 * LEASE)
        assert not waiting.done()
        order.append("sent")
        claim.succeeded(GONE, None)
    assert await waiting == (GONE, False, True)
    await close(one, two)


@in_virtual_time
async def test_a_gateway_that_is_killed_leaves_a_doubt() -> None:
    """Killed after the send: another gateway is at the write within seconds, and knows that it was sent."""
    one, two = await counters()
    claim = await one.once.claim(DELETION)
    await claim.sending()
    one.peers.is_cut_off = True
    began = asyncio.get_running_loop().time()
    assert await two.known(DELETION) == (None, True, False)
    assert asyncio.get_running_loop().time() - began <= LEASE + 1
    await claim.__aexit__(None, None, None)
    await close(one, two)


@in_virtual_time
async def test_what_is_void_is_void_everywhere() -> None:
    """Another write to the job at one gateway: none gives the earlier answer again."""
    one, two = await counters()
    await one.succeed(put(), CREATED)
    await asyncio.sleep(1)
    two.once.void("import", put().job_id)
    await asyncio.sleep(1)
    assert await one.known(put()) == (None, False, False)
    assert await two.known(put()) == (None, False, False)
    await close(one, two)


@in_virtual_time
@pytest.mark.parametrize("sender", [0, 1])
async def test_what_was_void_stays_void_for_who_was_away(sender: int) -> None:
    """One that was away meanwhile neither puts its record back nor gives the earlier answer again."""
    one, two = await counters()
    await (one, two)[sender].succeed(put(), CREATED)
    await asyncio.sleep(1)
    one.peers.is_cut_off = True
    two.once.void("import", put().job_id)
    await asyncio.sleep(1)
    one.peers.is_cut_off = False
    one.peers.returned()
    await asyncio.sleep(1)
    assert await one.known(put()) == (None, False, False)
    assert await two.known(put()) == (None, False, False)
    await close(one, two)


@in_virtual_time
async def test_a_claim_finds_what_is_void() -> None:
    """Void is what the fleet says of it, also to one that has heard nothing of that."""
    one, two = await counters()
    await one.succeed(put(), CREATED)
    await asyncio.sleep(1)
    one.peers.is_cut_off = True
    two.once.void("import", put().job_id)
    await asyncio.sleep(1)
    one.peers.is_cut_off = False
    assert await one.known(put()) == (None, False, False)
    await close(one, two)


@in_virtual_time
async def test_a_write_under_way_is_made_void_by_another_gateway() -> None:
    """One that ends after another write to the job went out at another gateway is not given again."""
    one, two = await counters()
    async with await one.once.claim(put()) as claim:
        await claim.sending()
        await asyncio.sleep(1)
        two.once.void("import", put().job_id)
        await asyncio.sleep(1)
        claim.succeeded(CREATED, put().job_id)
    await asyncio.sleep(1)
    assert await one.known(put()) == (None, False, False)
    assert await two.known(put()) == (None, False, False)
    await close(one, two)


@in_virtual_time
async def test_a_gateway_that_comes_back_tells_what_the_store_has_lost() -> None:
    """What the store no longer has is told it again, and what it has is learned."""
    one, two = await counters()
    await one.succeed(DELETION, GONE)
    one.peers.is_cut_off = True
    await two.succeed(put(), CREATED)
    del one.peers.meeting.spaces["writes"][DELETION.digest]
    one.peers.is_cut_off = False
    one.peers.returned()
    await asyncio.sleep(1)
    assert set(one.peers.meeting.spaces["writes"]) == {DELETION.digest, put().digest}
    one.peers.is_cut_off = True
    assert await one.known(put()) == (None, True, True)
    await close(one, two)


@in_virtual_time
async def test_one_that_waits_knows_of_the_send_when_the_store_goes() -> None:
    """A repeat that waited for another gateway when the store went goes out with the doubt of that send."""
    one, two = await counters()
    async with await one.once.claim(DELETION) as claim:
        waiting = asyncio.ensure_future(two.known(DELETION))
        await asyncio.sleep(1)
        await claim.sending()
        await asyncio.sleep(1)
        one.peers.meeting.goes()
        assert await waiting == (None, True, False)
    await close(one, two)


class LatePeers(MemoryPeers):
    """The store has done what it was asked for before the reply is here."""

    async def hold(self, name: str, lease: float) -> bool | None:
        held = await super().hold(name, lease)
        await asyncio.sleep(1)
        return held

    async def load(self, space: str) -> Mapping[str, bytes] | None:
        found = await super().load(space)
        await asyncio.sleep(10)
        return found


@dataclass(eq=False, repr=False)
class SlowPeers(MemoryPeers):
    """What is put arrives when somebody waits for it."""

    held: list[tuple[str, str, bytes, float]] = field(default_factory=list)

    def put(self, space: str, key: str, value: bytes, lasts: float) -> None:
        self.held.append((space, key, value, lasts))

    async def settled(self) -> bool:
        if not self.away:
            for words in self.held:
                super().put(*words)
            self.held.clear()
        return await super().settled()


@in_virtual_time
async def test_what_was_done_while_away_counts_more_than_what_was_void_before() -> None:
    """A send after the write that made the earlier ones void, which the store has yet to hear of, stands."""
    meeting = Meeting()
    one = Counter(meeting, SlowPeers(meeting, 2))
    meeting.spaces["writes"][DELETION.digest] = b""
    one.peers.is_cut_off = True
    await one.succeed(DELETION, GONE)
    await asyncio.sleep(1)
    one.peers.is_cut_off = False
    one.peers.returned()
    await asyncio.sleep(1)
    assert await one.known(DELETION) == (GONE, False, True)
    await close(one)


@in_virtual_time
async def test_what_is_done_while_it_asks_counts_more_than_what_it_is_told() -> None:
    """A write that ends while a gateway asks for all that the fleet knows is not undone by the answer."""
    meeting = Meeting()
    one = Counter(meeting, LatePeers(meeting, 2))
    meeting.spaces["writes"][DELETION.digest] = b""
    one.peers.returned()
    await asyncio.sleep(1)
    await one.succeed(DELETION, GONE)
    await asyncio.sleep(10)
    one.peers.is_cut_off = True
    assert await one.known(DELETION) == (GONE, False, True)
    await close(one)


@in_virtual_time
async def test_a_write_under_way_is_made_void_while_its_gateway_is_away() -> None:
    """One that is back in the middle of a write leaves it void, and it is so when it ends."""
    one, two = await counters()
    async with await one.once.claim(put()) as claim:
        await claim.sending()
        await asyncio.sleep(1)
        one.peers.is_cut_off = True
        two.once.void("import", put().job_id)
        await asyncio.sleep(1)
        one.peers.is_cut_off = False
        one.peers.returned()
        await asyncio.sleep(1)
        assert one.peers.meeting.spaces["writes"] == {put().digest: b""}
        claim.succeeded(CREATED, put().job_id)
    assert await two.known(put()) == (None, False, False)
    await close(one, two)


@in_virtual_time
async def test_who_leaves_before_it_knows_of_its_lock_gives_it_back() -> None:
    """A client that gives up while the store is asked leaves no lock that others would wait for."""
    loop, meeting = asyncio.get_running_loop(), Meeting()
    assert isinstance(loop, VirtualLoop)
    peers = LatePeers(meeting, 2)
    writes = FleetWrites(peers, keep=KEEP, timers=loop, chance=random.Random(1))  # noqa: S311 - chance that can be repeated
    taking = asyncio.ensure_future(writes.take(DELETION.digest))
    await asyncio.sleep(0.5)
    assert meeting.locks
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert meeting.locks == {}
    await writes.aclose()


@in_virtual_time
async def test_who_leaves_while_it_waits_holds_nothing() -> None:
    """A client that gives up while another gateway is at the write changes nothing."""
    one, two = await counters()
    async with await one.once.claim(DELETION):
        waiting = asyncio.ensure_future(two.once.claim(DELETION))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not two.once.is_claimed(DELETION)
    await asyncio.sleep(1)
    assert one.peers.meeting.locks == {}
    await close(one, two)


@in_virtual_time
async def test_repeats_one_after_the_other_keep_the_lock() -> None:
    """Two claims at one gateway with none between them: nobody else gets in before both are over."""
    one, two = await counters()
    first = await one.once.claim(DELETION)
    second = asyncio.ensure_future(one.once.claim(DELETION))
    await asyncio.sleep(0.1)
    await first.__aexit__(None, None, None)
    claim = await second
    await asyncio.sleep(1)
    waiting = asyncio.ensure_future(two.known(DELETION))
    await asyncio.sleep(1)
    assert not waiting.done()
    await claim.__aexit__(None, None, None)
    await waiting
    await close(one, two)


@in_virtual_time
async def test_without_the_store_each_decides_alone() -> None:
    """Nobody waits; what was learned meanwhile is told when the store is back, empty."""
    one, two = await counters()
    one.peers.meeting.goes()
    await one.succeed(DELETION, GONE)
    assert await two.known(DELETION) == (None, False, False)
    one.peers.meeting.returns(empty=True)
    await asyncio.sleep(1)
    _, _, done = await two.known(DELETION)
    assert done
    await close(one, two)
