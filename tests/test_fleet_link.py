"""The way back to a store that has lost its data."""

import asyncio
import logging
import random
import uuid

from pydantic import SecretStr

from gateway import config
from gateway.fleet.calls import OPERATION_BUDGET, Call
from gateway.fleet.clock import StoreClock
from gateway.fleet.keys import Keys
from gateway.fleet.link import Link
from gateway.fleet.news import News
from gateway.fleet.opening import Opening
from gateway.fleet.places import Places
from tests.support.fleets import Told, until
from tests.support.redis_server import RedisServer

LONGEST_PAUSE = 5
"""Seconds, at most, between two looks for the store."""


def link_to(server: RedisServer, keys: Keys) -> Link:
    """A link of a gateway's own."""
    timers, chance = asyncio.get_running_loop(), random.Random(1)  # noqa: S311 - jitter
    settings, clock = config.Fleet(url=SecretStr(server.url), expected_size=2), StoreClock(timers)
    places = Places(settings, config.parse_fleet_url(server.url), key=keys.channel, chance=chance)
    opening = Opening(places, News(keys.channel, "me", clock), timers, 5 * OPERATION_BUDGET)
    return Link(opening, keys, clock, chance=chance, log=logging.getLogger("gateway.fleet"), told=Told())


async def test_a_loss_is_not_forgotten_by_an_attempt_that_fails(server: RedisServer) -> None:
    """However many attempts it takes to return, each makes up for the loss, and none acts on data that others
    have not put back what is theirs into: they have looked for the store by then.
    """
    keys = Keys(uuid.uuid4().hex)
    link = link_to(server, keys)
    losses = []

    async def prepare(_call: Call, lost_data: bool) -> None:
        losses.append(lost_data)
        if lost_data and losses.count(True) == 1:
            raise OSError("the connection is lost again")

    link.before_return.append(prepare)
    running = asyncio.ensure_future(link.run())
    try:
        await until(lambda: not link.away)
        server.command("FLUSHALL")
        await until(lambda: link.away)
        await until(lambda: not link.away)
        assert losses == [False, True, True]
        began = int(server.command("GET", keys("life")).rpartition(b":")[2])
        seconds, micros = server.command("TIME")
        assert seconds + micros / 1e6 - began / 1e6 > LONGEST_PAUSE
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
