"""Answers and leads across gateways."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.fleet import Fleet
from gateway.fleet.calls import Calls
from gateway.fleet.keys import Keys
from gateway.fleet.reads import LARGEST, Reads
from gateway.fleet.wire import Lost, Wire, Word
from tests.support.fleets import Clock, Heard, Told, gateway_of, until
from tests.support.redis_server import RedisServer
from tests.test_fleet_wire import saying, wire_to


async def looked(fleet: Fleet, key: str = "key") -> tuple[bytes | None, bool]:
    look = await fleet.look(key, 5.0)
    assert look is not None
    return look.answer, look.leads


async def test_one_leads(server: RedisServer, instance: str) -> None:
    """One gateway fetches, the others are told to wait; the answer is everybody's, with its age."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        heard = Heard().on(two, "read", "released")
        assert await looked(one) == (None, True)
        assert await looked(two) == (None, False)
        assert await looked(one) == (None, True)
        assert await looked(two, "other") == (None, True)
        await one.publish("key", b"line\nline\x00\xff", 0.25, 1.0)
        clock.pass_by(0.5)
        look = await two.look("key", 5.0)
        assert look is not None
        assert (look.answer, look.leads) == (b"line\nline\x00\xff", False)
        assert 0.75 <= look.age < 0.75 + 0.2
        await until(lambda: heard.news)
        assert heard.news == [("read", "key", b"line\nline\x00\xff")]
        clock.pass_by(0.5)
        assert await looked(two) == (None, True)


async def test_a_lead_ends(server: RedisServer, instance: str) -> None:
    """A lead ends with its time, or when it is given back, which only its holder can do."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        heard = Heard().on(one, "released")
        assert await looked(one) == (None, True)
        two.release("key")
        assert await looked(two) == (None, False)
        clock.pass_by(5.0)
        assert await looked(two) == (None, True)
        assert await looked(one) == (None, False)
        two.release("key")
        assert await looked(one) == (None, True)
        await until(lambda: heard.news)
        assert heard.news == [("released", "key", b"")]


async def test_a_clock_set_back_frees_leads_and_answers(server: RedisServer, instance: str) -> None:
    """What seems to be of the future is of a clock that was wrong."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        assert await looked(one) == (None, True)
        await one.publish("answered", b"answer", 0.0, 60.0)
        one.forget()
        clock.pass_by(-600)
        assert await looked(two) == (None, True)
        assert await looked(two, "answered") == (None, True)
        await two.publish("answered", b"new", 0.0, 60.0)
        assert await looked(one, "answered") == (b"new", False)


async def test_a_write_makes_answers_old(server: RedisServer, instance: str) -> None:
    """No answer sent before a write is given after it, and no lead from before holds others up."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        heard = Heard().on(one, "forget")
        await one.publish("kept", b"before", 0.1, 60.0)
        assert await looked(one, "under way") == (None, True)
        clock.pass_by(1.0)
        two.forget()
        assert await looked(two, "kept") == (None, True)
        clock.pass_by(0.2)
        assert await looked(two, "under way") == (None, True)
        await one.publish("under way", b"before", 1.0, 60.0)
        assert await looked(one, "under way") == (None, False)
        await two.publish("under way", b"after", 0.1, 60.0)
        assert await looked(one, "under way") == (b"after", False)
        await until(lambda: heard.news)
        assert heard.news == [("forget", "", b"")]


async def heard_on_return(reads: Reads) -> list[str]:
    """The verbs that are called before the store counts as back."""
    verbs = []

    async def call(verb: str, keys: Sequence[str] = (), *_words: Word) -> None:
        verbs.append(verb)

    await reads.before_return(call, False)
    return verbs


async def test_a_write_is_told_however_long_it_takes_to_return() -> None:
    """An attempt to return that fails loses nothing of what was to be told, one that succeeds tells it."""
    reads = reads_of(calls := calls_to(None))

    async def fail(verb: str, keys: Sequence[str] = (), *_words: Word) -> None:
        raise Lost("the connection was lost")

    reads.forget()
    with pytest.raises(Lost):
        await reads.before_return(fail, False)
    assert calls.wire is None
    assert await heard_on_return(reads) == ["forget"]
    assert await heard_on_return(reads) == []


async def test_a_write_that_the_store_did_not_hear_of_is_told() -> None:
    """Of two writes the first was told, the second was lost with the connection: it is told on return."""
    async with wire_to(saying(b":1\r\n", stay=False), budget=5.0) as wire:
        reads = reads_of(calls_to(wire))
        reads.forget()
        reads.forget()
        with pytest.raises(Lost):
            await wire.ask("PING")
        await asyncio.sleep(0)
        assert await heard_on_return(reads) == ["forget"]


def calls_to(wire: Wire | None) -> Calls:
    """Calls on that connection."""
    refused: list[Exception] = []
    calls = Calls(Keys("x"), timers=asyncio.get_running_loop(), told=Told(), refused=refused.append)
    calls.wire = wire
    return calls


def reads_of(calls: Calls) -> Reads:
    return Reads(calls, Keys("x"), "me", asyncio.get_running_loop())


async def test_the_newer_answer_stays(server: RedisServer, instance: str) -> None:
    """An answer that was sent earlier does not replace one that was sent later."""
    clock = Clock()
    async with gateway_of(server.url, instance, now=clock) as fleet:
        await fleet.publish("key", b"new", 0.1, 60.0)
        await fleet.publish("key", b"old", 0.5, 60.0)
        assert await looked(fleet) == (b"new", False)


async def test_an_answer_that_is_only_told(server: RedisServer, instance: str) -> None:
    """Without a time to be kept, an answer goes to those who wait for it, and is gone."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        heard = Heard().on(two, "read")
        await one.publish("key", b"answer", 2.0, 0.0)
        await until(lambda: heard.news)
        assert 2.0 <= heard.ages[0] < 2.5
        assert await looked(two) == (None, True)


async def test_a_large_answer_stays_at_home(server: RedisServer, instance: str) -> None:
    """An answer above the bound only ends the lead; one at the bound goes through."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        heard = Heard().on(two, "read", "released")
        assert await looked(one) == (None, True)
        await one.publish("key", b"x" * (LARGEST + 1), 0.0, 60.0)
        assert await looked(two) == (None, True)
        await two.publish("key", b"x" * LARGEST, 0.0, 60.0)
        assert await looked(one) == (b"x" * LARGEST, False)
        assert [topic for topic, *_ in heard.news] == ["released"]


async def test_who_gives_up_takes_no_other_s_reply(server: RedisServer, instance: str) -> None:
    """Calls that are cancelled at any moment leave each of the others its own reply."""
    async with gateway_of(server.url, instance) as fleet:
        for number in range(50):
            await fleet.publish(f"key {number}", b"%d" % number, 0.0, 60.0)

        async def mine(number: int) -> None:
            assert await looked(fleet, f"key {number}") == (b"%d" % number, False)

        for round_ in range(10):
            calls = [asyncio.ensure_future(mine(number)) for number in range(50)]
            for _ in range(round_):
                await asyncio.sleep(0)
            for call in calls[round_ % 3 :: 3]:
                call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert not [one for one in results if one and not isinstance(one, asyncio.CancelledError)]
        assert not fleet.away


async def test_names_that_callers_chose_are_no_keys(server: RedisServer, instance: str) -> None:
    """What callers send is neither a key nor a channel, and nothing stays for ever."""
    secret = "GET /jobs/imports/secret\n{x}\udcff"
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        heard = Heard().on(two, "read")
        assert await looked(one, secret) == (None, True)
        await one.publish(secret, b"answer", 0.0, 60.0)
        assert await looked(two, secret) == (b"answer", False)
        assert await looked(two, "lead") == (None, True)
        await one.hold(secret, 60.0)
        await one.claim(secret)
        await one.reserve()
        one.forget()
        one.put("jobs", secret, b"value", 60.0)
        assert await one.settled()
        assert await two.load("jobs") == {secret: b"value"}
        await until(lambda: heard.news)
        assert heard.news[0][1] == secret
    names = [name for name in server.key_names() if instance in name]
    assert {name.split(":")[3] for name in names} == {
        "life", "read", "lead", "lock", "done", "turns", "forgot", "space",
    }  # fmt: skip
    for name in names:
        assert name.startswith(f"adt-gateway:1:{{{instance}}}:")
        assert "secret" not in name
        assert 0 < server.command("PTTL", name) <= 8 * 86_400_000
