"""Who has the next turn at the Jobs API: writes, then the apps' reads, then the watcher.

Within a priority the one that came first goes first. The watcher waits behind everybody, but while it waits
one turn in ten is its own.
"""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

OTHERS_PER_WATCH: Final = 9
"""Turns that others may have, one after the other, while the watcher waits."""


class Priority(IntEnum):
    """Who asks; the lower number goes first. The name in lower case is the metrics' label."""

    WRITE = 0
    READ = 1
    WATCH = 2


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the line."""

    priority: Priority
    since: float
    """When it came, seconds on the clock of the timers; who goes once more keeps its first time."""
    joined: float
    """When this ticket was made."""
    granted: asyncio.Future[None]
    """Done when it has its turn; stays as it is when the ticket is withdrawn."""
    place: tuple[float, int] = field(default=(0.0, 0))
    """Where it stands among its equals; the line's own."""


class Line:
    """The tickets that wait. Taking the next one costs the same however many there are."""

    def __init__(self) -> None:
        # Each lane is sorted, the next one last, so that it is taken off the end.
        self._lanes: tuple[list[Ticket], ...] = tuple([] for _ in Priority)
        self._joined = 0
        self._others = 0
        """Turns that others had since the watcher's last one, while it waited."""

    def __len__(self) -> int:
        writes, reads, watches = self._lanes
        return len(writes) + len(reads) + len(watches)

    def lengths(self) -> Mapping[Priority, int]:
        """How many wait, by priority."""
        return {priority: len(self._lanes[priority]) for priority in Priority}

    def join(self, ticket: Ticket) -> None:
        """Take a place behind those of the same priority that came before; equal times keep their order."""
        self._joined += 1
        ticket.place = (-ticket.since, -self._joined)
        insort(self._lanes[ticket.priority], ticket, key=_place)

    def leave(self, ticket: Ticket) -> bool:
        """Give the place up; False where it had none."""
        lane = self._lanes[ticket.priority]
        index = bisect_left(lane, ticket.place, key=_place)
        if index == len(lane) or lane[index] is not ticket:
            return False
        del lane[index]
        return True

    def take(self) -> Ticket | None:
        """The next one, which leaves the line; None where nobody waits."""
        for lane in self._lanes:
            # Who was cancelled at this moment had no time to leave, and must not cost a turn.
            while lane and lane[-1].granted.done():
                lane.pop()
        writes, reads, watches = self._lanes
        others = writes or reads
        if watches and (self._others >= OTHERS_PER_WATCH or not others):
            self._others = 0
            return watches.pop()
        if watches:
            self._others += 1
        return others.pop() if others else None

    def ahead(self, priority: Priority) -> int:
        """How many have their turn before a newcomer of this priority, if nobody else comes."""
        watching = len(self._lanes[Priority.WATCH])
        if priority is Priority.WATCH:
            others = len(self) - watching
            due = max(0, OTHERS_PER_WATCH - self._others) + OTHERS_PER_WATCH * watching
            return watching + min(others, due)
        before = sum(map(len, self._lanes[: priority + 1]))
        return before + min(watching, (self._others + before) // OTHERS_PER_WATCH)


def _place(ticket: Ticket) -> tuple[float, int]:
    return ticket.place
