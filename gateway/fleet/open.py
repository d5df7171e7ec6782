"""Join the fleet, and leave it."""

import asyncio
import contextlib
import logging
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway import config
from gateway.fleet.calls import OPERATION_BUDGET, FleetTold
from gateway.fleet.clock import StoreClock
from gateway.fleet.fleet import Fleet, Parts
from gateway.fleet.keys import Keys
from gateway.fleet.link import Link
from gateway.fleet.news import News
from gateway.fleet.once import Once
from gateway.fleet.opening import Opening
from gateway.fleet.places import PATIENCE, Chance, Places
from gateway.fleet.reads import Reads
from gateway.fleet.spaces import Spaces
from gateway.fleet.turns import Turns
from gateway.fleet.wire import Timers

_LONGEST_NAME: Final = 40


@asynccontextmanager
async def open_fleet(  # noqa: PLR0913 - what a composition root passes, by name
    settings: config.Fleet,
    *,
    instance: str,
    interval: float,
    burst: int,
    timers: Timers,
    chance: Chance,
    log: logging.Logger,
    told: FleetTold,
    now: Callable[[], int] | None = None,
    budget: float = OPERATION_BUDGET,
) -> AsyncIterator[Fleet]:
    """The fleet of the gateways in front of `instance`, the upstream's name, until the block ends.

    It waits a moment for the store, and goes on without. Turns come `interval` seconds apart, 0 for no limit,
    and `burst` of them may be saved up; `now` stands in for the store's clock, in microseconds; no call waits
    longer than `budget` seconds, but for `load`, each page of which has it, and all of them 5 s. Raises
    ValueError where `settings.url` is not valid.
    """
    url = config.parse_fleet_url(settings.url.get_secret_value() if settings.url else "")
    me, keys, clock = _name(), Keys(instance), StoreClock(timers)
    news = News(keys.channel, me, clock)
    places = Places(settings, url, key=keys.channel, chance=chance)
    opening = Opening(places, news, timers, budget)
    link = Link(opening, keys, clock, chance=chance, log=log, told=told, now=now)
    turns = Turns(link.calls, keys, me, interval=interval, burst=burst, timers=timers)
    reads = Reads(link.calls, keys, me, timers)
    once = Once(link.calls, keys, me, timers)
    spaces = Spaces(link.calls, keys, me)
    link.before_return += [turns.before_return, reads.before_return, once.before_return]
    link.on_return.append(spaces.go_on)
    fleet = Fleet(
        Parts(link, news, turns, reads, once, spaces),
        me=me,
        store=url.shown,
        mode=url.mode,
        expected_size=settings.expected_size or 1,
        timers=timers,
        budget=budget,
    )
    async with _linked(link):
        yield fleet
        # What was put last is not lost with the connection.
        await fleet.settled()


@asynccontextmanager
async def _linked(link: Link) -> AsyncIterator[None]:
    running = asyncio.ensure_future(link.run())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await link.tried.wait()
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _name() -> str:
    """A name for this process, which nobody else has, and which tells people the machine or pod."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:_LONGEST_NAME]
    return f"{host}-{secrets.token_hex(4)}"
