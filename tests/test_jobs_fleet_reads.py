"""Reads shared by gateways: one request for what many want, whoever sends it, and nobody left waiting."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from gateway import failures
from gateway.jobs.reads import Given
from tests.support.company import Reader, Readers
from tests.support.peers import Look, MemoryPeers
from tests.support.virtual_time import in_virtual_time


def number(given: Given) -> int:
    """Which read of the upstream's it tells."""
    return int(json.loads(given.answer.body)["read"])


def hows(given: Sequence[Given]) -> list[str]:
    return sorted(each.how for each in given)


async def everybody(readers: Readers, *job_ids: str) -> list[Given]:
    """Each gateway is asked for each job, all at once."""
    tasks = [reader.ask(job_id) for reader in readers.all for job_id in job_ids]
    return await asyncio.gather(*tasks)


@in_virtual_time
async def test_one_request_for_all() -> None:
    """Three gateways that are asked for one job send one request, and all give its answer."""
    readers = Readers()
    answers = await everybody(readers, "a")
    assert readers.service.paths == ["/jobs/imports/a"]
    assert {number(given) for given in answers} == {1}
    assert hows(answers) == ["collapsed", "collapsed", "miss"]
    assert not [
        pair
        for given in answers
        for pair in given.answer.headers
        if given.how != "miss" and pair[0] == b"set-cookie"
    ]
    await readers.aclose()


@in_virtual_time
async def test_what_one_read_the_others_keep() -> None:
    """A fresh answer is given by every gateway at once, with its age, and the store is not asked."""
    readers = Readers()
    await readers.all[0].ask()
    await asyncio.sleep(0.5)
    readers.meeting.asked.clear()
    given = await readers.all[1].ask()
    assert (given.how, number(given)) == ("hit", 1)
    assert given.age == pytest.approx(0.5, abs=0.05)
    assert readers.meeting.asked == {}
    await asyncio.sleep(0.6)
    assert number(await readers.all[1].ask()) == 2
    await readers.aclose()


@in_virtual_time
async def test_one_that_joins_late_finds_it_in_the_store() -> None:
    """Who has heard nothing looks, and is given what is fresh."""
    readers = Readers()
    await readers.all[0].ask()
    newcomer = Reader("newcomer", readers.service, readers.meeting.join())
    given = await newcomer.ask()
    assert number(given) == 1
    assert len(readers.service.asked) == 1
    await newcomer.dies()
    await readers.aclose()


@in_virtual_time
async def test_a_list_for_many_jobs_of_many_gateways() -> None:
    """Each gateway wants one job, each another: one list answers all of them, turn by turn."""
    readers = Readers(4)
    for _ in range(4):
        wanted = [reader.ask(job_id) for reader, job_id in zip(readers.all, "abcd", strict=True)]
        await asyncio.gather(*wanted)
        await asyncio.sleep(1)
    assert readers.service.paths == ["/jobs/imports"] * 4
    assert min(readers.service.gaps) >= 0.9
    await readers.aclose()


@in_virtual_time
async def test_one_job_needs_no_list() -> None:
    """While all gateways want the same job it is read by itself."""
    readers = Readers()
    for _ in range(4):
        await everybody(readers, "a")
        await asyncio.sleep(1)
    assert set(readers.service.paths) == {"/jobs/imports/a"}
    assert len(readers.service.paths) == 4
    await readers.aclose()


@in_virtual_time
async def test_what_no_list_shows_is_read_by_itself() -> None:
    """A job that is not on the page is asked for by one gateway, and all have its answer."""
    readers = Readers()
    tasks = [reader.ask(job_id) for reader in readers.all for job_id in ("a", "hidden")]
    answers = await asyncio.gather(*tasks)
    assert readers.service.paths.count("/jobs/imports/hidden") == 1
    assert all(json.loads(given.answer.body)["id"] in {"a", "hidden"} for given in answers)
    await readers.aclose()


@in_virtual_time
async def test_lists_are_shared_too() -> None:
    """An app's own list is one request in the fleet."""
    readers = Readers()
    await asyncio.gather(*(reader.ask(path="/jobs/imports") for reader in readers.all))
    assert readers.service.paths == ["/jobs/imports"]
    await readers.aclose()


@in_virtual_time
async def test_few_questions_to_the_store() -> None:
    """However many ask, a gateway looks once for each time that an answer has become stale."""
    readers = Readers()
    for _ in range(5):
        await asyncio.gather(*(reader.ask(job_id) for reader in readers.all for job_id in "abcd" * 25))
        await asyncio.sleep(1)
    asked = sum(readers.meeting.asked.values())
    assert asked < 0.1 * 3 * 100 * 5
    await readers.aclose()


@in_virtual_time
async def test_the_leader_is_killed() -> None:
    """When the gateway that was to read is gone, another one reads in its place within seconds."""
    readers = Readers()
    readers.service.seconds = 60.0
    led = readers.all[0].ask()
    await asyncio.sleep(0.5)
    readers.service.seconds = 0.02
    others = [reader.ask() for reader in readers.all[1:]]
    await asyncio.sleep(0.5)
    await readers.all[0].dies()
    led.cancel()
    began = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*others)
    assert asyncio.get_running_loop().time() - began < 4.5
    assert {number(given) for given in answers} == {2}
    await asyncio.gather(led, return_exceptions=True)
    await readers.aclose()


@in_virtual_time
async def test_a_slow_leader_keeps_its_lead() -> None:
    """A read that takes long is waited for: nobody sends a second one."""
    readers = Readers()
    readers.service.seconds = 9.0
    await everybody(readers, "a")
    assert len(readers.service.asked) == 1
    await readers.aclose()


@in_virtual_time
async def test_the_leaders_callers_leave() -> None:
    """A read that nobody here wants any more is another gateway's at once."""
    readers = Readers()
    readers.service.seconds = 60.0
    led = readers.all[0].ask()
    await asyncio.sleep(0.5)
    readers.service.seconds = 0.02
    other = readers.all[1].ask()
    await asyncio.sleep(0.1)
    led.cancel()
    await asyncio.gather(led, return_exceptions=True)
    began = asyncio.get_running_loop().time()
    assert number(await other) == 2
    assert asyncio.get_running_loop().time() - began < 0.6
    await readers.aclose()


class LatePeers(MemoryPeers):
    """The store has done what it was asked for before the reply is here."""

    async def look(self, key: str, lease: float) -> Look | None:
        found = await super().look(key, lease)
        await asyncio.sleep(0.5)
        return found


@in_virtual_time
async def test_who_leaves_before_it_knows_of_its_lead_gives_it_back() -> None:
    """A caller that gives up while the store is asked leaves no lead that others would wait for."""
    readers = Readers(1)
    peers = LatePeers(readers.meeting, 1)
    late = Reader("late", readers.service, peers)
    asked = late.ask()
    await asyncio.sleep(0.2)
    assert readers.meeting.leads
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert readers.meeting.leads == {}
    await late.dies()
    await readers.aclose()


@in_virtual_time
async def test_a_leader_that_fails() -> None:
    """What goes wrong at one gateway is told to its callers only; the others try by themselves."""
    readers = Readers()
    readers.service.error = failures.UpstreamConnectionLost("gone")
    led = readers.all[0].ask()
    await asyncio.sleep(0.01)
    other = readers.all[1].ask()
    await asyncio.sleep(0.005)
    readers.service.error = None
    with pytest.raises(failures.UpstreamConnectionLost):
        await led
    assert number(await other) == 2
    await readers.aclose()


@in_virtual_time
async def test_an_error_of_the_upstreams_is_for_those_who_wait() -> None:
    """It is told to all who wait for it, and kept by nobody."""
    readers = Readers()
    readers.service.status = 404
    answers = await everybody(readers, "a")
    assert [given.answer.status for given in answers] == [404] * 3
    readers.service.status = 200
    assert number(await readers.all[2].ask()) == 2
    await readers.aclose()


@pytest.mark.parametrize("status", [401, 403])
@in_virtual_time
async def test_what_one_gateway_may_not_read_another_reads(status: int) -> None:
    """The answer to one gateway's credentials is its own callers'; the others' have that of another one."""
    readers = Readers()
    first = readers.all[0]
    readers.service.status_for[first.name] = status
    led = first.ask()
    await asyncio.sleep(0.01)
    others = [reader.ask() for reader in readers.all[1:]]
    assert (await led).answer.status == status
    assert [given.answer.status for given in await asyncio.gather(*others)] == [200, 200]
    assert len(readers.service.asked) == 2
    await readers.aclose()


@in_virtual_time
async def test_a_429_pauses_all_and_is_no_answer() -> None:
    """The read goes once more when the pause is over; those who can wait that long see nothing of it."""
    readers = Readers()
    readers.service.status = 429
    tasks = [reader.ask() for reader in readers.all]
    await asyncio.sleep(0.5)
    readers.service.status = 200
    answers = await asyncio.gather(*tasks)
    assert [given.answer.status for given in answers] == [200] * 3
    assert readers.service.gaps == [pytest.approx(5, abs=0.1)]
    await readers.aclose()


@in_virtual_time
async def test_no_answer_from_before_a_write_is_given_after_it() -> None:
    """A write at one gateway clears what all have kept, and what was under way is for those who waited."""
    readers = Readers(max_staleness=60.0)
    await everybody(readers, "a")
    readers.all[0].reads.forget()
    await asyncio.sleep(0.01)
    assert {number(given) for given in await everybody(readers, "a")} == {2}
    readers.service.seconds = 2.0
    readers.all[0].reads.forget()
    await asyncio.sleep(0.01)
    before = readers.all[1].ask()
    await asyncio.sleep(1.5)
    readers.all[2].reads.forget()
    await asyncio.sleep(0.01)
    after = readers.all[1].ask()
    assert number(await before) == 3
    assert number(await after) == 4
    await readers.aclose()


@in_virtual_time
async def test_who_asks_after_a_write_waits_for_an_answer_from_after_it() -> None:
    """What was sent before the write and comes after it is of no use to who stands in the line meanwhile."""
    readers = Readers()
    readers.service.seconds = 0.8
    before = readers.all[0].ask()
    await asyncio.sleep(0.3)
    readers.all[2].reads.forget()
    await asyncio.sleep(0.01)
    after = [reader.ask() for reader in readers.all]
    assert number(await before) == 1
    assert {number(given) for given in await asyncio.gather(*after)} == {2}
    await readers.aclose()


@in_virtual_time
async def test_while_the_store_is_away_each_reads_alone() -> None:
    """Without the store every gateway answers its own callers, at its share of the rate."""
    readers = Readers()
    readers.meeting.goes()
    answers = await everybody(readers, "a")
    assert len(readers.service.asked) == 3
    assert hows(answers) == ["miss"] * 3
    readers.meeting.returns(empty=True)
    await asyncio.sleep(30)
    assert len(await everybody(readers, "a")) == 3
    assert len(readers.service.asked) == 4
    await readers.aclose()


@in_virtual_time
async def test_a_store_that_goes_fails_nobody() -> None:
    """Those who waited for another gateway's answer get one, each from its own gateway."""
    readers = Readers()
    readers.service.seconds = 60.0
    led = readers.all[0].ask()
    await asyncio.sleep(0.5)
    readers.service.seconds = 0.02
    others = [reader.ask() for reader in readers.all[1:]]
    await asyncio.sleep(0.1)
    readers.meeting.goes()
    assert len(await asyncio.gather(*others)) == 2
    led.cancel()
    await asyncio.gather(led, return_exceptions=True)
    await readers.aclose()


@in_virtual_time
async def test_rubbish_in_the_store_is_no_answer() -> None:
    """What cannot be read is as if it were not there."""
    readers = Readers()
    await readers.all[0].ask()
    await asyncio.sleep(0.01)
    (name,) = readers.meeting.reads
    for rubbish in (b"", b"\x00", b"\x97\x01\x02"):
        readers.meeting.reads[name] = rubbish, asyncio.get_running_loop().time(), 1e9
        newcomer = Reader("newcomer", readers.service, readers.meeting.join())
        assert (await newcomer.ask(path="/jobs/imports/a")).answer.status == 200
        await newcomer.dies()
    await readers.aclose()


@in_virtual_time
async def test_who_cannot_wait_is_refused() -> None:
    """A caller's patience counts for another gateway's answer too."""
    readers = Readers()
    readers.service.seconds = 60.0
    led = readers.all[0].ask()
    await asyncio.sleep(0.5)
    with pytest.raises(failures.RateLimited):
        await readers.all[1].ask(patience=1.0)
    led.cancel()
    await asyncio.gather(led, return_exceptions=True)
    await readers.aclose()
