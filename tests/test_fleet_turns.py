"""The fleet's turns: the pace of all gateways together."""

import asyncio
from itertools import pairwise

import pytest

from gateway.jobs.pace import interval_of
from tests.support.fleets import START, Clock, Heard, gateway_of, until
from tests.support.redis_server import RedisServer


async def test_gateways_take_turns(server: RedisServer, instance: str) -> None:
    """Whoever asks, each turn is an interval after the one before, even one that may have been."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, rate=2, now=clock) as one,
        gateway_of(server.url, instance, rate=2, now=clock) as two,
    ):
        waits = [await fleet.reserve() for fleet in (one, one, two, one)]
    assert waits == [0.51, 1.02, 1.53, 2.04]


async def test_who_asks_rarely_waits_for_no_more_than_each_other_once(
    server: RedisServer, instance: str
) -> None:
    """One that takes every turn it can holds one reservation: another's is the next after it."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as busy,
        gateway_of(server.url, instance, now=clock) as quiet,
    ):
        for _ in range(20):
            wait = await busy.reserve()
            assert wait is not None
            clock.pass_by(wait)
        assert await busy.reserve() == 1.02
        assert await quiet.reserve() == 2.04


async def test_a_burst_is_saved_up(server: RedisServer, instance: str) -> None:
    """After a long rest `burst` turns are free at once, and no more."""
    clock = Clock()
    async with gateway_of(server.url, instance, burst=3, now=clock) as fleet:
        await fleet.reserve()
        clock.pass_by(1_000)
        assert [await fleet.reserve() for _ in range(5)] == [0.0, 0.0, 0.0, 1.02, 2.04]


async def test_a_pause_is_everybody_s(server: RedisServer, instance: str) -> None:
    """A pause moves the next turn, is told, and is not shortened by another."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        heard = Heard().on(two, "pause")
        one.pause(30.0)
        one.pause(5.0)
        one.pause(0.0)
        await until(lambda: len(heard.news) == 2)
        assert heard.news == [("pause", "", b"30.000"), ("pause", "", b"5.000")]
        assert await two.reserve() == 30.0
        assert await one.reserve() == 31.02


@pytest.mark.parametrize("seconds", [float("inf"), 1e9])
async def test_a_pause_has_an_end(seconds: float, server: RedisServer, instance: str) -> None:
    """A pause is believed for five minutes at most."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as fleet,
        gateway_of(server.url, instance, now=clock) as other,
    ):
        heard = Heard().on(other, "pause")
        fleet.pause(seconds)
        assert await fleet.reserve() == 300.0
        await until(lambda: heard.news)
        assert heard.news == [("pause", "", b"300.000")]


async def test_a_clock_that_is_set_back(server: RedisServer, instance: str) -> None:
    """What lay ahead lies as far ahead as before: nobody waits for the old time to come again."""
    clock = Clock()
    async with gateway_of(server.url, instance, now=clock) as fleet:
        assert await fleet.reserve() == 1.02
        assert await fleet.reserve() == 2.04
        clock.pass_by(-3_600)
        assert await fleet.reserve() == 3.06


@pytest.mark.parametrize(
    "stored",
    [
        {"due": f"{START + 10**15}", "at": f"{START}"},
        {"due": "1e300", "at": "1e300", "paused": "inf"},
        {"due": "nan", "at": "nan", "paused": "nan"},
        {"due": "", "at": "x"},
        {"paused": f"{START + 10**15}", "at": f"{START}", "due": f"{START}"},
    ],
)
async def test_absurd_values(stored: dict[str, str], server: RedisServer, instance: str) -> None:
    """Whatever stands in the store, nobody waits for ever."""
    async with gateway_of(server.url, instance, now=Clock()) as fleet:
        words = [word for pair in stored.items() for word in pair]
        server.command("HSET", f"adt-gateway:1:{{{instance}}}:turns", *words)
        wait = await fleet.reserve()
        assert wait is not None
        assert wait <= 301.02


async def test_no_rate_is_no_limit(server: RedisServer, instance: str) -> None:
    """With the governor off, every turn is now, and the store is not asked."""
    async with gateway_of(server.url, instance, rate=0) as fleet:
        assert [await fleet.reserve() for _ in range(3)] == [0.0] * 3
        fleet.pause(5.0)
        assert await fleet.reserve() == 0.0
    assert not [name for name in server.key_names() if instance in name and "turns" in name]


async def test_the_store_s_own_clock(server: RedisServer, instance: str) -> None:
    """Many at once at real time: the turns lie an interval apart."""
    async with (
        gateway_of(server.url, instance, rate=100) as one,
        gateway_of(server.url, instance, rate=100) as two,
    ):
        now = asyncio.get_running_loop().time
        turns = sorted(
            now() + (wait or 0.0)
            for wait in await asyncio.gather(*(fleet.reserve() for fleet in (one, two) * 50))
        )
        assert len(turns) == 100
        assert turns[-1] - turns[0] <= 100 * interval_of(100)
        assert all(later >= earlier for earlier, later in pairwise(turns))
