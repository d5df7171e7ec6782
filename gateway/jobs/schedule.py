"""Which read follows the unfinished jobs next, and when.

A job is due a tenth of the time for which its status has not changed, after it was last seen by whoever's
request. Jobs of a kind that are due together are one list, and where a read of its kind is made anyway, a job
counts as due from half of its interval on. So all fall into step with the quickest of their kind, and any
number of them costs as many reads as that one alone.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.jobs.model import STATUSES, SpanContext
from gateway.jobs.record import JobRecord

QUICKEST: Final = 2.0
"""Seconds from one read of a job to the next, at least."""
SLOWEST: Final = 30.0
"""Seconds from one read of a job to the next, at most."""
GIVE_UP_AFTER: Final = 20
"""Failures in a row after which a job is no longer followed."""
NOT_SHOWN: Final = "not shown"
"""Reason of a failure: the read was answered, but the answer said nothing usable of the job."""
MAX_LINKS: Final = 10
MAX_FOLLOWED: Final = 1_000
"""Jobs followed at a time, the newest: planning holds up the event loop. The others follow as these end."""

_SHARE = 0.1
_LONGEST_BACKOFF = 120.0
# Lists that look for others' jobs keep to the same rule with other figures.
_LOOK_SOONEST, _LOOK_LATEST, _LOOK_SHARE = 60.0, 300.0, 0.5

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class WatchRead:
    """A read that the watcher asks for."""

    kind: str
    job_id: str | None
    """None: the first page of the kind's list."""
    links: tuple[SpanContext, ...]
    """The requests that created the jobs it is made for, as far as known, at most `MAX_LINKS`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The next read."""

    read: WatchRead
    at: float
    """When to ask for it, on the clock of the timers; often in the past."""
    awaited: Mapping[Key, float]
    """The jobs that it is made for, each with the time at which it was last seen before."""


@dataclass(slots=True)
class _Note:
    """What went wrong with a job since it was last seen; void as soon as anything shows it again."""

    last_seen: float
    unlisted: bool = False
    """A list did not show it, so it is read by itself."""
    failures: int = 0
    failing_since: float = 0.0
    not_before: float = 0.0

    @property
    def given_up(self) -> bool:
        return self.failures >= GIVE_UP_AFTER


@dataclass(slots=True)
class _List:
    """The list of a kind; times on the clock of the timers."""

    read_at: float = float("-inf")
    changed_at: float = 0.0
    shown: frozenset[tuple[str, str]] | None = None
    failures: int = 0
    not_before: float = float("-inf")


@dataclass(frozen=True, slots=True)
class _Turn:
    """Something to be read: a job, or where there is no record, the list that looks for others' jobs."""

    due: float
    soon: float
    """From here on a list that is made anyway is meant for it too."""
    record: JobRecord | None = None
    listed: bool = True


@dataclass(slots=True)
class Schedule:
    """Plans reads, and learns from what they came to.

    `look`: list each kind in turn, whether or not a job of it is known. `clock` is the ledger's, `monotonic`
    that of the timers, both in seconds.
    """

    look: bool
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    chance: random.Random
    _notes: dict[Key, _Note] = field(default_factory=dict)
    _lists: dict[str, _List] = field(default_factory=lambda: {kind: _List() for kind in STATUSES})

    def plan(self, jobs: Sequence[JobRecord]) -> Plan | None:
        """The next read for these unfinished jobs, oldest first; None where there is nothing to read."""
        self._forget(jobs)
        now, wall = self.monotonic(), self.clock()
        turns: dict[str, list[_Turn]] = {kind: [] for kind in STATUSES}
        given_up = set(self.given_up())
        followed = [record for record in jobs if (record.kind, record.id) not in given_up]
        for record in followed[-MAX_FOLLOWED:]:
            note = self._notes.get((record.kind, record.id))
            turns[record.kind].append(_turn(record, note, now, wall))
        if self.look:
            for kind, listing in self._lists.items():
                turns[kind].append(_look(listing))
        plans = [
            (at, kind, group) for kind, of_kind in turns.items() for at, group in self._groups(kind, of_kind)
        ]
        return _plan(*min(plans, key=lambda plan: plan[0])) if plans else None

    def settle(self, plan: Plan, failure: str | None, jobs: Sequence[JobRecord]) -> str | None:
        """Learn what a read came to; returns why it failed, or None.

        `failure`: why it was not answered; `jobs`: those unfinished after it.
        """
        seen = {(record.kind, record.id): record.last_seen for record in jobs}
        hidden = [key for key, before in plan.awaited.items() if seen.get(key) == before]
        if plan.read.job_id is None:
            self._settle_list(plan.read.kind, failure, jobs)
            if failure is None:
                for key in hidden:
                    self._note(key, plan).unlisted = True
        elif hidden:
            failure = failure or NOT_SHOWN
            note = self._note(hidden[0], plan)
            note.failing_since = note.failing_since if note.failures else self.monotonic()
            note.failures += 1
            note.not_before = self._after_backoff(note.failures)
        return failure

    def given_up(self) -> Sequence[Key]:
        """Jobs that are no longer followed."""
        return [key for key, note in self._notes.items() if note.given_up]

    def forgive(self, since: float) -> None:
        """Follow again what was given up for failures that all came after `since`, when nothing worked."""
        for key in self.given_up():
            if self._notes[key].failing_since >= since:
                del self._notes[key]

    def _note(self, key: Key, plan: Plan) -> _Note:
        return self._notes.setdefault(key, _Note(plan.awaited[key]))

    def _forget(self, jobs: Sequence[JobRecord]) -> None:
        if self._notes:
            seen = {(record.kind, record.id): record.last_seen for record in jobs}
            self._notes = {key: note for key, note in self._notes.items() if seen.get(key) == note.last_seen}

    def _groups(self, kind: str, turns: list[_Turn]) -> Iterator[tuple[float, list[_Turn]]]:
        """What could be read next of a kind: the list for those it serves, and the first of the others."""
        now = self.monotonic()
        backing_off = self._lists[kind].not_before > now
        together = [turn for turn in turns if turn.listed and (turn.record is None or not backing_off)]
        alone = [turn for turn in turns if turn.record is not None and (backing_off or not turn.listed)]
        if together:
            at = min(turn.due for turn in together)
            yield at, [turn for turn in together if turn.soon <= max(at, now)]
        if alone:
            first = min(alone, key=lambda turn: turn.due)
            yield first.due, [first]

    def _settle_list(self, kind: str, failure: str | None, jobs: Sequence[JobRecord]) -> None:
        listing, now = self._lists[kind], self.monotonic()
        if failure is not None:
            listing.failures += 1
            listing.not_before = self._after_backoff(listing.failures)
            return
        shown = frozenset((record.id, record.status) for record in jobs if record.kind == kind)
        if shown != listing.shown:
            listing.shown, listing.changed_at = shown, now
        listing.read_at, listing.failures = now, 0

    def _after_backoff(self, failures: int) -> float:
        longest = min(QUICKEST * 2.0 ** min(failures - 1, 10), _LONGEST_BACKOFF)
        return self.monotonic() + longest * self.chance.uniform(0.75, 1.0)


def interval(record: JobRecord) -> float:
    """Seconds from when the job was last seen until it is due.

    A status that nobody saw begin is as old as the job: one that has run for hours is not taken for new.
    """
    began = record.changed
    if not record.created_here and record.changed <= record.first_seen:
        began = min(began, record.since)
    # Where the clock was set back the change lies ahead; how far tells more than nothing.
    return min(max(QUICKEST, _SHARE * abs(record.last_seen - began)), SLOWEST)


def _turn(record: JobRecord, note: _Note | None, now: float, wall: float) -> _Turn:
    listed = note is None or not note.unlisted
    if note is not None and note.failures:
        return _Turn(note.not_before, note.not_before, record, listed)
    pause, elapsed = interval(record), wall - record.last_seen
    if elapsed < 0:  # the clock was set back: how long ago it was seen is not known, nor how long it waits
        elapsed = float("inf")
    due = now + pause - elapsed
    return _Turn(due, due - pause / 2, record, listed)


def _look(listing: _List) -> _Turn:
    unchanged = listing.read_at - listing.changed_at
    due = listing.read_at + min(max(_LOOK_SOONEST, _LOOK_SHARE * unchanged), _LOOK_LATEST)
    if listing.failures:
        return _Turn(listing.not_before, listing.not_before)
    return _Turn(due, (listing.read_at + due) / 2)


def _plan(at: float, kind: str, turns: Sequence[_Turn]) -> Plan:
    records = [turn.record for turn in turns if turn.record is not None]
    alone = len(turns) == 1 and len(records) == 1
    links = [record.created_in for record in records if record.created_in is not None]
    return Plan(
        WatchRead(kind, records[0].id if alone else None, tuple(links[:MAX_LINKS])),
        at,
        {(record.kind, record.id): record.last_seen for record in records},
    )
