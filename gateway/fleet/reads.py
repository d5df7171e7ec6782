"""Answers of the Jobs API for the whole fleet: who fetches one, and what it was."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from gateway.fleet.calls import Away, Call, Calls, bytes_of
from gateway.fleet.clock import MICRO
from gateway.fleet.keys import Keys
from gateway.fleet.wire import Timers

LARGEST: Final = 2 * 1_048_576
"""Bytes of an answer or an entry that goes to the store; a larger one stays where it is."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the fleet knows of a read."""

    answer: bytes | None
    age: float
    """Seconds since `answer` was sent upstream; 0.0 without one."""
    leads: bool
    """This gateway is to fetch it."""


class Reads:
    """Fresh answers, the leads of those who fetch them, and the moment before which no answer counts."""

    def __init__(self, calls: Calls, keys: Keys, me: str, timers: Timers) -> None:
        self._calls = calls
        self._keys = keys
        self._me = me
        self._channel = keys.channel
        self._forgot = keys("forgot")
        self._timers = timers
        # How often was forgotten, and how often the store knows of.
        self._forgotten = self._known = 0

    async def look(self, key: str, lease: float) -> Look | None:
        """A fresh answer, else whether this gateway is to fetch it; None while away."""
        asked_at = self._timers.time()
        keys = (*self._both(key), self._forgot)
        try:
            look = await self._calls.call("look", keys, self._me, round(lease * MICRO), read=_read_look)
        except Away:
            return None
        # The way back took a part of the time since it was asked: never told younger than it is.
        return look if look.answer is None else replace(look, age=look.age + self._timers.time() - asked_at)

    async def publish(self, key: str, answer: bytes, age: float, lasts: float) -> None:
        """Tell an answer and keep it for a while; the lead ends."""
        if len(answer) > LARGEST:
            self.release(key)
            return
        times = (round(age * MICRO), round(lasts * MICRO))
        try:
            await self._calls.call(
                "publish", self._both(key), self._channel, self._me, *times, _bytes(key), answer, read=int
            )
        except Away:
            return

    def release(self, key: str) -> None:
        """Give a lead back."""
        _, lead = self._both(key)
        self._calls.send("release", (lead,), self._channel, self._me, _bytes(key))

    def forget(self) -> None:
        """No answer sent before now counts; kept in mind until the store knows."""
        self._forgotten += 1
        sent = self._calls.send("forget", (self._forgot,), self._channel, self._me)
        if sent is not None:
            sent.add_done_callback(partial(self._told, self._forgotten))

    async def before_return(self, call: Call, _lost_data: bool) -> None:
        """What was to be forgotten while the store was away is not found there."""
        forgotten = self._forgotten
        if self._known < forgotten:
            await call("forget", (self._forgot,), self._channel, self._me)
            self._known = forgotten

    def _told(self, forgotten: int, sent: Any) -> None:
        if not sent.cancelled() and sent.exception() is None:
            self._known = forgotten

    def _both(self, key: str) -> tuple[str, str]:
        return self._keys.of("read", key), self._keys.of("lead", key)


def _read_look(reply: Any) -> Look:
    answer, age, leads = reply
    if answer is None:
        return Look(None, 0.0, leads == 1)
    return Look(bytes_of(answer), int(age) / MICRO, leads=False)


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
