"""Following jobs to their end, with questions to the gateway only: nothing of it goes upstream."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from gateway.console.client import Listing, Silent, Unknown
from gateway.console.job import UNFINISHED, UNKNOWN, Job, Key
from gateway.console.progress import PAST, Pace, Usual, expected_end

PATIENCE: Final = 60.0
"""Seconds for which a gateway that fell silent is asked again: it may be restarting."""


class Source(Protocol):
    """Who is asked about jobs."""

    def jobs(self, kinds: Iterable[str] = ..., statuses: Iterable[str] = ..., limit: int = ...) -> Listing:
        """The newest jobs of these kinds, in these statuses."""

    def job(self, kind: str, job_id: str) -> Job:
        """One job. Raises Unknown."""


@dataclass(slots=True)
class Followed:
    """A job that is watched."""

    job: Job
    usual: Usual | None = None
    gone: bool = False
    """The gateway no longer knows it."""
    pace: Pace = field(default_factory=Pace)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to see."""
        return self.gone or self.job.is_over

    @property
    def expected_end(self) -> float | None:
        """Seconds since the epoch; None where it has ended, or nothing can be expected."""
        return None if self.gone else expected_end(self.job, self.usual)


@dataclass(frozen=True, slots=True)
class Change:
    """What a look has shown of one job: it is new to the watch, its status is another, or it is gone."""

    what: Literal["seen", "status", "gone"]
    followed: Followed


class Display(AbstractContextManager["Display"], Protocol):
    """Where a watch is shown."""

    def show(self, followed: Sequence[Followed], changes: Sequence[Change], now: float) -> None:
        """The state after a look."""

    def silent(self, followed: Sequence[Followed], reason: str, now: float) -> None:
        """A look got no answer; it will be tried again."""


class Watch:
    """One job, or with `only` None all that are unfinished, those that come later too."""

    def __init__(self, source: Source, only: Key | None = None) -> None:
        self._source = source
        self._only = only
        self._followed: dict[Key, Followed] = {}
        self._replaced: list[Followed] = []
        """Jobs that had ended when another came with their id."""
        self._usual: dict[str, Usual | None] = {}

    @property
    def followed(self) -> Sequence[Followed]:
        """All that were seen."""
        return [*self._replaced, *self._followed.values()]

    @property
    def is_over(self) -> bool:
        """Whether all have ended; true where there is none."""
        return all(one.is_over for one in self.followed)

    @property
    def succeeded(self) -> bool:
        """Whether all have succeeded; one that is gone had not when it was last seen."""
        return all(one.job.status == "succeeded" for one in self.followed)

    def look(self, now: float) -> list[Change]:
        """Ask, and tell what is new. Raises Unknown at the first look at one job, and Failure."""
        read = self._read()
        for kind in {job.kind for job in read.values() if job is not None}:
            self._learn_usual(kind)
        # Nothing is asked from here on: a look that fails changes nothing.
        changes = [change for key, job in read.items() if (change := self._take(key, job))]
        for followed in (self._followed[key] for key in read):
            followed.pace.read(now, followed.job.sightings)
            followed.usual = self._usual.get(followed.job.kind)
        for change in changes:
            if change.followed.is_over:
                # It is a past job for those that are still followed.
                self._usual.pop(change.followed.job.kind, None)
        return changes

    def _read(self) -> dict[Key, Job | None]:
        """What is to be looked at now; None for a job that the gateway no longer knows."""
        if self._only is not None and not self._followed:
            return {self._only: self._source.job(*self._only)}
        read: dict[Key, Job | None] = {}
        if self._only is None:
            unfinished = self._source.jobs(statuses=(*UNFINISHED, UNKNOWN)).jobs
            read = {job.key: job for job in unfinished if not job.is_over}
        for key, followed in self._followed.items():
            if key not in read and not followed.is_over:
                read[key] = self._again(key)
        return read

    def _again(self, key: Key) -> Job | None:
        try:
            return self._source.job(*key)
        except Unknown:
            return None

    def _learn_usual(self, kind: str) -> None:
        if kind not in self._usual:
            self._usual[kind] = Usual.of(self._source.jobs((kind,), ("succeeded",), PAST).jobs)

    def _take(self, key: Key, job: Job | None) -> Change | None:
        followed = self._followed.get(key)
        if job is not None and (followed is None or followed.is_over):
            self._replaced += [followed] if followed else []
            self._followed[key] = Followed(job)
            return Change("seen", self._followed[key])
        assert followed is not None  # noqa: S101 - only a job that is followed can be gone
        if job is None:
            followed.gone = True
            return Change("gone", followed)
        before, followed.job = followed.job, job
        return Change("status", followed) if before.status != job.status else None


def follow(
    watch: Watch,
    display: Display,
    *,
    interval: float,
    clock: Callable[[], float],
    pause: Callable[[float], None],
) -> bool:
    """Look every `interval` seconds until all has ended; whether all succeeded.

    `clock` is the wall clock in seconds since the epoch, `pause` waits. Raises Failure where the first look
    gets no answer, or none of those of a minute do.
    """
    answered: float | None = None
    with display:
        while True:
            now = clock()
            try:
                changes = watch.look(now)
            except Silent as failure:
                if answered is None or now - answered > PATIENCE:
                    raise
                display.silent(watch.followed, str(failure), now)
            else:
                answered = now
                display.show(watch.followed, changes, now)
                if watch.is_over:
                    return watch.succeeded
            pause(interval)
