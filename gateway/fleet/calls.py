"""Calls of the script on the connection that is open, if one is."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from gateway.fleet.clock import MICRO
from gateway.fleet.keys import Keys
from gateway.fleet.reasons import BROKEN
from gateway.fleet.script import read_script
from gateway.fleet.wire import LATE, Lost, Timers, Wire, Word

OPERATION_BUDGET: Final = 0.1
"""Seconds that a call may wait for the store."""

_Value = TypeVar("_Value")


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call that is under way."""

    verb: str
    words: Sequence[Word]
    wire: Wire
    at: float
    reply: "asyncio.Future[Any]"


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

    async def call(
        self, verb: str, keys: Sequence[str], *words: Word, read: Callable[[Any], _Value]
    ) -> _Value:
        """What `read` makes of the reply to one call. Raises Away, within the budget.

        A reply that `read` cannot read, by TypeError, ValueError or AttributeError, is that of a store which
        cannot be used.
        """
        return await self._reply(self._ask(verb, keys, words), read)

    def send(self, verb: str, keys: Sequence[str] = (), *words: Word) -> "asyncio.Future[Any] | None":
        """The same for what nobody has to wait for; sent in the order of the calls. None while away."""
        try:
            asked = self._ask(verb, keys, words)
        except Away:
            return None
        sending = asyncio.ensure_future(self._reply(asked, _as_it_is))
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
            return await wire.ask("EVALSHA", self._script.digest, *self._words(verb, keys, words))

        return call

    def _ask(self, verb: str, keys: Sequence[str], words: Sequence[Word]) -> _Asked:
        wire = self.wire
        if wire is None:
            self._told.operation(verb, "away", 0.0)
            raise Away
        at, all_words = self._timers.time(), self._words(verb, keys, words)
        return _Asked(verb, all_words, wire, at, wire.ask("EVALSHA", self._script.digest, *all_words))

    def _words(self, verb: str, keys: Sequence[str], words: Sequence[Word]) -> Sequence[Word]:
        now = "" if self._now is None else self._now()
        return (1 + len(keys), self._life_key, *keys, verb, now, self.life, *words)

    async def _reply(self, asked: _Asked, read: Callable[[Any], _Value]) -> _Value:
        result = "error"
        try:
            try:
                reply = await asked.reply
            except NoScriptError:
                # Somebody flushed the scripts: the calls sent after this one come by here too, in order.
                reply = await asked.wire.ask("EVAL", self._script.source, *asked.words)
            value = read(reply)
            result = "ok"
        except ResponseError as error:
            self._refused(error)
            raise Away from None
        except (TypeError, ValueError, AttributeError):
            self._refused(Lost(BROKEN))
            raise Away from None
        except Lost as error:
            result = "timeout" if str(error) == LATE else "error"
            raise Away from None
        except asyncio.CancelledError:
            result = ""
            raise
        finally:
            if result:
                self._told.operation(asked.verb, result, self._timers.time() - asked.at)
        return value


def bytes_of(reply: Any) -> bytes:
    """The reply, which has to be bytes. Raises TypeError where it is not."""
    if not isinstance(reply, bytes):
        raise TypeError("not bytes")
    return reply


def _as_it_is(reply: Any) -> Any:
    """A reply that nobody looks at."""
    return reply


def _looked_at(done: "asyncio.Future[Any]") -> None:
    """What nobody waits for fails in silence: it was told as an operation already."""
    if not done.cancelled():
        done.exception()
