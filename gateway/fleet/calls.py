"""Calls of the script on the connection that is open, if one is."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.exceptions import NoScriptError, ResponseError

from gateway.fleet.clock import MICRO
from gateway.fleet.keys import Keys
from gateway.fleet.script import read_script
from gateway.fleet.wire import LATE, Lost, Timers, Wire, Word

OPERATION_BUDGET: Final = 0.1
"""Seconds that a call may wait for the store."""


class FleetTold(Protocol):
    """What is told of the store."""

    def operation(self, name: str, result: str, seconds: float) -> None:
        """An operation ended: ok, timeout, error, or away; one that was given up is not told."""

    def up(self, usable: bool) -> None:
        """Whether the store can be used, each time that changes."""


class Away(Exception):
    """The store cannot be used now."""


class Call(Protocol):
    """One call of the script."""

    def __call__(self, verb: str, keys: Sequence[str] = (), *words: Word) -> Awaitable[Any]:
        """The reply. Raises Away, or what the store says."""


@dataclass(frozen=True, slots=True)
class Life:
    """The life of the store's data, which ends when they are lost."""

    name: str
    age: float
    """Seconds since it began."""
    now: int
    """The store's clock when it was asked, in microseconds."""


class Calls:
    """The script's verbs. `wire` is set while they can be called; `refused` is told what the store says."""

    def __init__(
        self,
        keys: Keys,
        *,
        timers: Timers,
        told: FleetTold,
        refused: Callable[[Exception], None],
        now: Callable[[], int] | None = None,
    ) -> None:
        """`now` stands in for the store's clock, in microseconds."""
        self._script = read_script()
        self._life_key = keys("life")
        self._timers = timers
        self._told = told
        self._refused = refused
        self._now = now
        self.wire: Wire | None = None
        self.life = ""
        """The name of the life that the caller knows."""

    async def call(self, verb: str, keys: Sequence[str] = (), *words: Word) -> Any:
        """The reply to one call. Raises Away, within the budget."""
        asked_at = self._timers.time()
        wire = self._usable(verb)
        return await self._reply(verb, wire, self._ask(wire, verb, keys, words), keys, words, asked_at)

    def send(self, verb: str, keys: Sequence[str] = (), *words: Word) -> "asyncio.Future[Any] | None":
        """The same for what nobody has to wait for; sent in the order of the calls. None while away."""
        asked_at = self._timers.time()
        try:
            wire = self._usable(verb)
        except Away:
            return None
        asked = self._ask(wire, verb, keys, words)
        sending = asyncio.ensure_future(self._reply(verb, wire, asked, keys, words, asked_at))
        sending.add_done_callback(_looked_at)
        return sending

    async def begin(self, wire: Wire) -> Life:
        """A write that tells the life of the store's data.

        It also makes the script known to the store.
        """
        words = self._words("begin", (), (secrets.token_hex(8),))
        try:
            told = await wire.ask("EVALSHA", self._script.digest, *words)
        except NoScriptError:
            told = await wire.ask("EVAL", self._script.source, *words)
        name, age, now = told
        return Life(name.decode(), int(age) / MICRO, int(now))

    def on(self, wire: Wire) -> Call:
        """Calls before `wire` is everybody's; they raise what the store says, or Lost."""

        async def call(verb: str, keys: Sequence[str] = (), *words: Word) -> Any:
            return await self._ask(wire, verb, keys, words)

        return call

    def _usable(self, verb: str) -> Wire:
        if self.wire is None:
            self._told.operation(verb, "away", 0.0)
            raise Away
        return self.wire

    def _ask(
        self, wire: Wire, verb: str, keys: Sequence[str], words: Sequence[Word]
    ) -> "asyncio.Future[Any]":
        return wire.ask("EVALSHA", self._script.digest, *self._words(verb, keys, words))

    def _words(self, verb: str, keys: Sequence[str], words: Sequence[Word]) -> Sequence[Word]:
        now = "" if self._now is None else self._now()
        return (1 + len(keys), self._life_key, *keys, verb, now, self.life, *words)

    async def _reply(
        self,
        verb: str,
        wire: Wire,
        asked: "asyncio.Future[Any]",
        keys: Sequence[str],
        words: Sequence[Word],
        asked_at: float,
    ) -> Any:
        result = "error"
        try:
            try:
                reply = await asked
            except NoScriptError:
                # Somebody flushed the scripts: the calls sent after this one come by here too, in order.
                reply = await wire.ask("EVAL", self._script.source, *self._words(verb, keys, words))
            result = "ok"
        except ResponseError as error:
            self._refused(error)
            raise Away from None
        except Lost as error:
            result = "timeout" if str(error) == LATE else "error"
            raise Away from None
        except asyncio.CancelledError:
            result = ""
            raise
        finally:
            if result:
                self._told.operation(verb, result, self._timers.time() - asked_at)
        return reply


def _looked_at(done: "asyncio.Future[Any]") -> None:
    """What nobody waits for fails in silence: it was told as an operation already."""
    if not done.cancelled():
        done.exception()
