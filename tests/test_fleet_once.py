"""Locks and claims across gateways."""

import asyncio

from tests.support.fleets import GUARD, Clock, Told, gateway_of, until
from tests.support.redis_server import RedisServer
from tests.support.relay import relay_to


async def test_one_holds(server: RedisServer, instance: str) -> None:
    """A lock is one gateway's until it gives it back or its time is over; the others know whose it is."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        assert await one.hold("watch", 6.0) is True
        assert await two.hold("watch", 6.0) is False
        assert await two.hold("other", 6.0) is True
        assert two.view().holders == {"watch": one.view().me, "other": two.view().me}
        clock.pass_by(4.0)
        assert await one.hold("watch", 6.0) is True
        clock.pass_by(4.0)
        assert await two.hold("watch", 6.0) is False
        two.drop("watch")
        assert await two.hold("watch", 6.0) is False
        clock.pass_by(2.0)
        assert await two.hold("watch", 6.0) is True
        assert await one.hold("watch", 6.0) is False
        two.drop("watch")
        # Nobody waits for the store to hear of that, and it hears each gateway on a connection of its own.
        async with asyncio.timeout(GUARD):
            while not await one.hold("watch", 6.0):
                pass


async def test_a_lock_of_the_future_is_free(server: RedisServer, instance: str) -> None:
    """A lock that was taken before the clock was set back does not last until the old time comes again."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        assert await one.hold("watch", 6.0) is True
        clock.pass_by(-3_600)
        assert await two.hold("watch", 6.0) is True


async def test_one_wins(server: RedisServer, instance: str) -> None:
    """Of many that claim at once exactly one wins, for good; it wins again when it asks again."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        fleets = (one, two)
        for number in range(20):
            won = await asyncio.gather(*(fleet.claim(f"job {number}") for fleet in fleets))
            assert sorted(won, key=bool) == [False, True]
            assert list(await asyncio.gather(*(fleet.claim(f"job {number}") for fleet in fleets))) == won


async def test_a_reply_that_is_lost_loses_nothing(server: RedisServer, instance: str) -> None:
    """A claim that the store took and could not answer is won when it is asked again."""
    told = Told()
    async with (
        relay_to("127.0.0.1", server.port) as relay,
        gateway_of(f"redis://127.0.0.1:{relay.port}", instance, told=told) as one,
        gateway_of(server.url, instance) as two,
    ):
        relay.mute = True
        assert await one.claim("job") is None
        assert ("claim", "timeout") in told.operations
        assert await two.claim("job") is False
        relay.mute = False
        await until(lambda: not one.away)
        assert await one.claim("job") is True
