"""Which jobs the reads of other gateways wait for, so that who has the turn knows when a list serves more."""

from typing import Final

from gateway.jobs.pace import Timers
from gateway.jobs.peers import Peers

TOPIC: Final = "wanted"
_LASTS: Final = 10.0
"""Seconds for which a want counts; told again from half of it on."""
_MOST: Final = 100
_ENOUGH: Final = 2
"""Two different jobs are reason enough for a list: more need not be told."""


class Wants:
    """Names of reads that are waited for somewhere, by the name of the list that answers them."""

    def __init__(self, peers: Peers, timers: Timers) -> None:
        self._peers = peers
        self._timers = timers
        self._until: dict[str, dict[str, float]] = {}
        peers.listen(TOPIC, self._hear)

    def tell(self, group: str, own: str) -> None:
        """A read waits for what another gateway asks: say so, unless all know enough."""
        soon = self._timers.time() + _LASTS / 2
        lasting = [name for name, until in self._until.get(group, {}).items() if until > soon]
        if own not in lasting and len(lasting) < _ENOUGH:
            self._note(group, own)
            self._peers.tell(TOPIC, group, own.encode())

    def others(self, group: str, own: str) -> bool:
        """Whether other jobs of the list are waited for than this one."""
        now = self._timers.time()
        return any(name != own and until > now for name, until in self._until.get(group, {}).items())

    def _hear(self, group: str, payload: bytes, _age: float) -> None:
        self._note(group, payload.decode("latin-1")[:64])

    def _note(self, group: str, own: str) -> None:
        now = self._timers.time()
        lasting = {name: until for name, until in self._until.pop(group, {}).items() if until > now}
        lasting.pop(own, None)
        self._until[group] = {**dict(list(lasting.items())[-_ENOUGH:]), own: now + _LASTS}
        if len(self._until) > _MOST:
            del self._until[next(iter(self._until))]
