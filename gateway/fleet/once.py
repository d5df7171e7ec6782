"""Locks, which one gateway at a time has, and claims, which one process wins for good."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, TypeVar

from gateway.fleet.calls import Away, Call, Calls
from gateway.fleet.clock import MICRO
from gateway.fleet.keys import Keys
from gateway.fleet.wire import Timers

_MOST_WON: Final = 10_000
"""Claims that are put back into a store that has lost its data."""
_UNCERTAIN: Final = 60.0
"""Seconds for which a store that takes over from another may not have heard of a claim."""
_AT_ONCE: Final = 100
_MOST_HOLDERS: Final = 64

_Value = TypeVar("_Value")


class Once:
    """Locks and claims of this process, which is known to the others as `me`."""

    def __init__(self, calls: Calls, keys: Keys, me: str, timers: Timers) -> None:
        self._calls = calls
        self._keys = keys
        self._me = me
        self._timers = timers
        self._won: OrderedDict[str, float] = OrderedDict()
        self._holders: OrderedDict[str, str] = OrderedDict()

    @property
    def holders(self) -> Mapping[str, str]:
        """Who had the locks that were asked for last, as told then."""
        return self._holders

    async def hold(self, name: str, lease: float) -> bool | None:
        """Take or renew a lock: whether it is ours; None while away."""
        try:
            holder = await self._calls.call(
                "hold", (self._keys.of("lock", name),), self._me, round(lease * MICRO), read=_read_name
            )
        except Away:
            return None
        _keep(self._holders, name, holder, _MOST_HOLDERS)
        return holder == self._me

    def drop(self, name: str) -> None:
        """Give a lock back, if it is ours."""
        self._holders.pop(name, None)
        self._calls.send("drop", (self._keys.of("lock", name),), self._me)

    async def claim(self, key: str) -> bool | None:
        """Whether it is ours, which it then stays; None while away."""
        name = self._keys.of("done", key)
        try:
            won = await self._calls.call("claim", (name,), self._me, read=_read_won)
        except Away:
            return None
        if won:
            _keep(self._won, name, self._timers.time(), _MOST_WON)
        return won

    async def before_return(self, call: Call, lost_data: bool) -> None:
        """What this process has won is its own in the store that comes back, too."""
        since = float("-inf") if lost_data else self._timers.time() - _UNCERTAIN
        names = [name for name, won_at in self._won.items() if won_at >= since]
        for start in range(0, len(names), _AT_ONCE):
            await call("claim", names[start : start + _AT_ONCE], self._me)


def _read_name(reply: bytes) -> str:
    return reply.decode("utf-8", "replace")


def _read_won(reply: int) -> bool:
    if reply not in {0, 1}:
        raise ValueError("one key has one winner")
    return reply == 1


def _keep(kept: OrderedDict[str, _Value], name: str, value: _Value, most: int) -> None:
    """Keep the newest."""
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > most:
        kept.popitem(last=False)
