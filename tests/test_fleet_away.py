"""A store that cannot be used: nobody waits for it, and it is used again when it can be."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fleet import OPERATION_BUDGET, Fleet
from tests.support.fleets import Heard, Told, gateway_of, until
from tests.support.redis_server import RedisServer, redis_server
from tests.support.relay import Relay, relay_to

CALLS: list[Callable[[Fleet], Awaitable[Any]]] = [
    lambda fleet: fleet.reserve(),
    lambda fleet: fleet.look("key", 5.0),
    lambda fleet: fleet.hold("watch", 5.0),
    lambda fleet: fleet.claim("key"),
    lambda fleet: fleet.load("jobs"),
    lambda fleet: fleet.get("jobs", "key"),
]


@pytest.fixture
async def relay(server: RedisServer) -> AsyncIterator[Relay]:
    async with relay_to("127.0.0.1", server.port) as running:
        yield running


async def all_away(fleet: Fleet) -> None:
    """Every verb answers at once that the store is away."""
    for call in CALLS:
        assert await call(fleet) is None
    await fleet.publish("key", b"answer", 0.0, 1.0)
    fleet.release("key")
    fleet.drop("watch")
    fleet.tell("topic", "key", b"")
    assert not await fleet.settled()


@pytest.mark.parametrize("fault", ["swallows", "delay", "cut"])
async def test_a_network_that_fails(fault: str, relay: Relay, instance: str) -> None:
    """Bytes that vanish, a second's delay, or a reset: away for all, and back when it is over."""
    told = Told()
    async with gateway_of(f"redis://127.0.0.1:{relay.port}", instance, told=told) as fleet:
        assert await fleet.hold("watch", 5.0)
        if fault == "swallows":
            relay.swallows = True
        elif fault == "delay":
            relay.delay = 1.0
        else:
            relay.delay = 1.0
            relay.cut()
        # All of them wait for the same failure, none for its own.
        assert await asyncio.gather(*(call(fleet) for call in CALLS)) == [None] * len(CALLS)
        assert fleet.away
        await all_away(fleet)
        relay.swallows, relay.delay = False, 0.0
        await until(lambda: not fleet.away)
        assert await fleet.hold("watch", 5.0)
        assert told.ups == [True, False, True]
        assert "away" in {result for _, result in told.operations}


async def test_calls_end_while_the_store_stands_still(server: RedisServer, instance: str) -> None:
    """A store that is stopped answers nobody; who came later does not wait longer than who came first."""
    async with gateway_of(server.url, instance) as fleet:
        server.pause()
        try:
            calls = [asyncio.ensure_future(call(fleet)) for call in CALLS]
            async with asyncio.timeout(2.0):
                assert await asyncio.gather(*calls) == [None] * len(CALLS)
            await all_away(fleet)
        finally:
            server.go_on()
        await until(lambda: not fleet.away)


async def test_a_loop_that_stood_still_is_not_the_store(server: RedisServer, instance: str) -> None:
    """The gateway's own pause, longer than the budget, is not taken for the store's."""
    async with gateway_of(server.url, instance, budget=OPERATION_BUDGET) as fleet:
        asked = asyncio.ensure_future(fleet.hold("watch", 5.0))
        await asyncio.sleep(0)
        for _ in range(3):
            asyncio.get_running_loop().call_soon(block, 0.15)
            await asyncio.sleep(0)
        assert await asked
        assert not fleet.away


def block(seconds: float) -> None:
    """Let nothing run."""
    import time  # noqa: PLC0415 - only here may time be waited for

    time.sleep(seconds)


async def test_a_store_that_ends_and_comes_back_empty(tmp_path: Path, instance: str) -> None:
    """What this process had won is its own in the new store; what it put while away is there."""
    with redis_server(tmp_path) as server:
        async with gateway_of(server.url, instance) as fleet, gateway_of(server.url, instance) as other:
            assert await fleet.claim("job")
            returned = []
            fleet.on_return(lambda: returned.append(fleet.away))
            server.kill()
            await until(lambda: fleet.away and other.away)
            fleet.put("jobs", "one", b"before", 60.0)
            fleet.put("jobs", "one", b"last", 60.0)
            fleet.put("jobs", "two", b"void", 60.0)
            fleet.put("jobs", "two", b"", 60.0)
            await all_away(fleet)
            server.start()
            await until(lambda: not fleet.away and not other.away)
            assert returned == [False]
            assert await other.claim("job") is False
            assert await fleet.claim("job") is True
            await until(lambda: not fleet.away)
            assert await fleet.settled()
            assert await other.load("jobs") == {"one": b"last", "two": b""}


async def test_a_flush_is_noticed_without_a_call(server: RedisServer, instance: str) -> None:
    """Data that are lost behind an open connection are put back before anybody claims them."""
    async with gateway_of(server.url, instance) as fleet, gateway_of(server.url, instance) as other:
        assert await fleet.claim("job")
        server.command("FLUSHALL")
        await until(lambda: fleet.view().away == "the store has lost its data")
        await until(lambda: not fleet.away and not other.away)
        assert await other.claim("job") is False


async def test_a_flush_is_noticed_by_a_call(server: RedisServer, instance: str) -> None:
    """The first call after a flush does not act on a store that knows nothing."""
    async with gateway_of(server.url, instance) as fleet:
        assert await fleet.claim("job")
        server.command("FLUSHALL")
        assert await fleet.claim("other") is None
        assert fleet.view().away == "the store has lost its data"
        await until(lambda: not fleet.away)


async def test_nobody_acts_on_new_data_before_all_have_seen_the_loss(
    server: RedisServer, instance: str
) -> None:
    """Who notices a flush first waits for those who notice it last: a claim from before is not won again."""
    async with gateway_of(server.url, instance) as quiet, gateway_of(server.url, instance) as busy:
        assert await quiet.claim("job")
        server.command("FLUSHALL")
        assert await busy.reserve() is None
        await until(lambda: not busy.away)
        assert await busy.claim("job") is False


async def test_a_subscription_that_is_silent(relay: Relay, instance: str) -> None:
    """News that no longer come are noticed while calls are answered, and heard again."""
    async with gateway_of(f"redis://127.0.0.1:{relay.port}", instance) as fleet:
        relay.swallowed.add(1)
        await until(lambda: fleet.view().away == "the subscription is silent")
        await until(lambda: not fleet.away)


async def test_scripts_that_are_flushed(server: RedisServer, instance: str) -> None:
    """A store that no longer knows the script is told it again; calls keep their order."""
    async with gateway_of(server.url, instance) as fleet:
        server.command("SCRIPT", "FLUSH")
        fleet.put("jobs", "one", b"1", 60.0)
        fleet.put("jobs", "one", b"last", 60.0)
        fleet.put("jobs", "two", b"2", 60.0)
        assert await fleet.settled()
        assert await fleet.load("jobs") == {"one": b"last", "two": b"2"}
        assert not fleet.away


async def test_a_server_that_becomes_a_replica(tmp_path: Path, instance: str) -> None:
    """A server that refuses writes is away until it takes them again."""
    with redis_server(tmp_path) as server:
        async with gateway_of(server.url, instance) as fleet:
            server.command("REPLICAOF", "127.0.0.1", "1")
            assert await fleet.reserve() is None
            assert fleet.view().away == "the server is a read-only replica"
            # It is looked for, and found to be a replica still.
            before = fleet.view().away_for
            await until(lambda: fleet.view().away_for > before + 0.5)
            assert fleet.away
            server.command("REPLICAOF", "NO", "ONE")
            await until(lambda: not fleet.away)


async def test_a_store_that_is_not_there_yet(tmp_path: Path, instance: str) -> None:
    """A gateway starts without its store, and uses it as soon as it is there."""
    server = RedisServer(tmp_path)
    async with gateway_of(server.url, instance) as fleet:
        heard = Heard().on(fleet, "topic")
        returned: list[bool] = []
        fleet.on_return(lambda: returned.append(True))
        await all_away(fleet)
        server.start()
        try:
            await until(lambda: not fleet.away)
            assert returned == [True]
            async with gateway_of(server.url, instance) as other:
                other.tell("topic", "key", b"payload")
                await until(lambda: heard.news)
            assert heard.news == [("topic", "key", b"payload")]
        finally:
            server.kill()


async def test_a_pause_and_a_write_while_away(relay: Relay, server: RedisServer, instance: str) -> None:
    """A pause that could not be told holds on return, and answers from before a write are not given."""
    async with (
        gateway_of(f"redis://127.0.0.1:{relay.port}", instance, rate=100) as fleet,
        gateway_of(server.url, instance, rate=100) as other,
    ):
        await other.publish("key", b"answer", 0.0, 60.0)
        look = await other.look("key", 5.0)
        assert look is not None
        assert look.answer == b"answer"
        relay.cut()
        await until(lambda: fleet.away)
        fleet.pause(60.0)
        fleet.forget()
        await until(lambda: not fleet.away)
        wait = await other.reserve()
        assert wait is not None
        assert wait > 50.0
        look = await other.look("key", 5.0)
        assert look is not None
        assert look.answer is None


async def test_it_is_said_once(relay: Relay, instance: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line when the store goes away, with the reason, and one when it is back."""
    caplog.set_level(logging.INFO, "gateway.fleet")
    async with gateway_of(f"redis://127.0.0.1:{relay.port}", instance) as fleet:
        relay.swallows = True
        assert await fleet.reserve() is None
        await until(lambda: fleet.view().away_for > 1.0)
        relay.swallows = False
        await until(lambda: not fleet.away)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [
        ("INFO", "the fleet's store is in use"),
        ("WARNING", "the fleet's store cannot be used"),
        ("INFO", "the fleet's store is in use"),
    ]
    assert caplog.records[1].__dict__["reason"] == "no answer in time"


async def test_looking_for_the_store_is_no_storm(relay: Relay, instance: str) -> None:
    """While the store is away it is looked for at growing distances, on two connections at most."""
    async with gateway_of(f"redis://127.0.0.1:{relay.port}", instance) as fleet:
        relay.delay = 0.4
        relay.cut()
        before = relay.accepted
        await until(lambda: fleet.view().away_for > 4.0)
        assert fleet.away
        assert relay.accepted - before <= 16


async def test_what_was_under_way_is_written_again(relay: Relay, instance: str) -> None:
    """Entries that were sent and not confirmed are sent again on return, each with its last value."""
    async with gateway_of(f"redis://127.0.0.1:{relay.port}", instance) as fleet:
        relay.swallows = True
        for number in range(100):
            fleet.put("jobs", f"job {number}", b"first", 60.0)
        for number in range(50, 60):
            fleet.put("jobs", f"job {number}", b"last", 60.0)
        await until(lambda: fleet.away)
        relay.swallows = False
        await until(lambda: not fleet.away)
        assert await fleet.settled()
        assert await fleet.load("jobs") == {
            f"job {number}": b"last" if 50 <= number < 60 else b"first" for number in range(100)
        }
