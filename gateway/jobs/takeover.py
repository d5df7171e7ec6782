"""What a gateway takes over from the one before it."""

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.jobs.departed import Departed
from gateway.jobs.model import FinishedJob
from gateway.jobs.record import JobRecord
from gateway.jobs.roster import Roster

JUST_TOLD: Final = 60.0
"""Seconds within which a killed gateway may have lost a span: they are exported some seconds later."""


def take_over(
    records: Iterable[JobRecord], jobs: Roster, departed: Departed, now: float
) -> Sequence[FinishedJob]:
    """Fill both with what was kept; returns what was told last: counted, but the spans may be lost."""
    told: list[FinishedJob] = []
    for record in sorted(records, key=lambda record: record.left_at or 0.0):
        if record.counted and 0 <= now - record.history[-1][1] <= JUST_TOLD:
            told.append(record.finish())
        # One that ended and was no news then is none now, whatever the clock was set to since. News that was
        # not told is what a fleet's store was to decide about, and did not.
        was_news = record.seen_unfinished or record.created_here
        record.counted |= record.is_over and record.finished is not None and not was_news
        if record.left_at is None:
            jobs.add(record)
        else:
            departed.add(record)
    return told
