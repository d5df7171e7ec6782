"""Two new connections to the store: one for calls, one that hears the news."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.fleet.news import Hearing, News, subscribe
from gateway.fleet.places import PATIENCE, Places
from gateway.fleet.wire import Timers, Wire

Lose = Callable[[Exception], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open; if one of them is lost, so is the other."""

    wire: Wire
    hearing: Hearing

    async def aclose(self) -> None:
        """Close both."""
        try:
            await self.wire.aclose()
        finally:
            await self.hearing.aclose()


@dataclass(frozen=True, slots=True)
class Opening:
    """How the store is reached, each time anew."""

    places: Places
    news: News
    timers: Timers
    budget: float

    async def open(self, lose: Lose) -> Opened:
        """Find the server and connect. `lose` is told when it is lost; raises what went wrong before."""
        address = await self.places.find()
        heard = await self.places.dial(address)
        try:
            await subscribe(heard, self.news.channel, PATIENCE)
            asked = await self.places.dial(address)
        except BaseException:
            await heard.disconnect(nowait=True)
            raise
        return Opened(
            Wire(asked, timers=self.timers, budget=self.budget, lost=lose), Hearing(self.news, heard, lose)
        )
