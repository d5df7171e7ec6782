"""The other gateways in front of the same instance, for everything that the jobs routes share with them."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.config import Origin, Settings, parse_origin
from gateway.jobs import FinishedJob, Governor, Watcher
from gateway.jobs.duty import Duty
from gateway.jobs.fleet_ledger import FleetLedger
from gateway.jobs.pace import interval_of
from gateway.jobs.reads import FleetReads
from gateway.jobs.stores import Store
from gateway.jobs.writes import KEEP, FleetWrites
from gateway.metrics import Metrics

if TYPE_CHECKING:
    from gateway.fleet import Fleet

_HTTPS: Final = 443

_log = logging.getLogger("gateway.fleet")


@dataclass(frozen=True, slots=True)
class Settling:
    """Two stores as one, for who waits until both have what they were given."""

    store: Store
    peers: "Fleet | None"

    async def settled(self) -> bool:
        """Whether both have; waits some 2 s at most. Never raises."""
        if self.peers is None:
            return await self.store.settled()
        here, there = await asyncio.gather(self.store.settled(), self.peers.settled())
        return here and there


class Company:
    """What this gateway and the others of its fleet are to each other; made when the gateway starts."""

    def __init__(self, peers: "Fleet", settings: Settings) -> None:
        self.peers = peers
        self.duty: Duty | None = None
        self._settings = settings
        self._timers = asyncio.get_running_loop()
        self._chance = random.Random()  # noqa: S311 - spreads gateways in time, no secret

    @property
    def store(self) -> str:
        """Where the store is: its hosts, or its socket; the URL itself is kept as a secret."""
        return self.peers.view().store.partition("://")[2]

    @property
    def watching(self) -> bool:
        """Whether this gateway follows unfinished jobs for the fleet."""
        return self.duty is not None and self.duty.on

    def ledger(self, tell: Callable[[FinishedJob], None]) -> FleetLedger:
        """The ledgers of the others; `tell` is told the finishes that are this gateway's to tell."""
        return FleetLedger(self.peers, tell=tell, timers=self._timers, chance=self._chance, clock=time.time)

    def reads(self, governor: Governor, forgotten: Callable[[], None]) -> FleetReads:
        """The reads of the others."""
        return FleetReads(
            self.peers,
            governor,
            self._settings.jobs,
            largest=self._settings.limits.observed_body,
            timers=self._timers,
            chance=self._chance,
            forgotten=forgotten,
        )

    def writes(self) -> FleetWrites:
        """The writes of the others."""
        return FleetWrites(self.peers, keep=KEEP, timers=self._timers, chance=self._chance)

    def share_watch(self, watcher: Watcher, stack: AsyncExitStack) -> None:
        """Let the watcher follow jobs only while no other gateway does."""
        if watcher.off:
            return
        duty = Duty(self.peers, timers=self._timers, chance=self._chance, changed=watcher.resume)
        watcher.on_duty = lambda: duty.on
        self.duty = duty
        stack.push_async_callback(duty.aclose)
        duty.start()


async def join_fleet(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Company | None:
    """Join the others, where `fleet.url` says how; `stack` leaves them."""
    if settings.fleet.url is None:
        return None
    # Its library takes 0.1 s to import, and 5 MB, which a gateway that is alone need not pay.
    from gateway.fleet import open_fleet  # noqa: PLC0415

    opening = open_fleet(
        settings.fleet,
        instance=instance_of(parse_origin(settings.upstream.base_url)),
        interval=interval_of(settings.jobs.rate),
        burst=settings.jobs.burst,
        timers=asyncio.get_running_loop(),
        chance=random.Random(),  # noqa: S311 - jitter, not a secret
        log=_log,
        told=metrics.fleet(),
    )
    company = Company(await stack.enter_async_context(opening), settings)
    metrics.watch_fleet(lambda: company.watching)
    return company


def instance_of(origin: Origin) -> str:
    """What the gateways of one instance have in common: its host, and the port where it is not HTTPS's own.

    Behind egress proxies on one machine it is the port that tells instances apart.
    """
    return origin.host if origin.port == _HTTPS else f"{origin.host}:{origin.port}"
