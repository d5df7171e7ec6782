"""Jobs as tables: the list, the sheet of one job, and progress.

Every text that came from outside is a `Text` of printable characters: rich reads markup and emoji codes in
plain strings.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from rich.table import Table
from rich.text import Text

from gateway.console.client import Cancelled, Listing
from gateway.console.job import Job
from gateway.console.text import ABSENT, length, moment, printable
from gateway.console.watch import Followed

_STYLES: Final = MappingProxyType(
    {
        "running": "cyan",
        "succeeded": "green",
        "failed": "red",
        "cancelling": "yellow",
        "cancelled": "yellow",
        "gone": "yellow",
    }
)
_SHORT_TRACE: Final = 8
"""Characters of a trace id that tell traces apart for the eye."""


def jobs_table(listing: Listing, now: float) -> Table:
    """One row for each job, the newest first."""
    table = _table("KIND", "ID", "STATUS", "CREATED (UTC)", "ELAPSED", "ERROR", "TRACE")
    for job in listing.jobs:
        table.add_row(
            _text(job.kind),
            _text(job.id),
            _status(job.status),
            moment(job.created),
            length(job.elapsed(now)),
            _text(job.error_code),
            _text(job.trace_id and job.trace_id[:_SHORT_TRACE]),
        )
    return table


def job_sheet(job: Job, now: float) -> Table:
    """All that is known of one job, its history last."""
    sheet = _sheet(job)
    sheet.add_row("status", _status(job.status))
    if job.error_code is not None:
        sheet.add_row("error", _text(job.error_code))
    sheet.add_row("created", moment(job.created, exact=True))
    if job.is_over:
        sheet.add_row("finished", moment(job.finished, exact=True))
    sheet.add_row("took" if job.is_over else "elapsed", length(job.elapsed(now)))
    sheet.add_row("purged on", moment(job.purge, exact=True))
    sheet.add_row("trace", _text(job.trace_id))
    sheet.add_row("created by", "a request through this gateway" if job.created_here else "not known")
    sheet.add_row("seen", _seen(job))
    before: float | None = None
    for number, (status, at) in enumerate(job.history):
        line = _status(status)
        line.append(f"  {moment(at, exact=True)}", "default")
        if at is not None and before is not None:
            line.append(f"  + {length(at - before)}", "default")
        sheet.add_row("" if number else "history", line)
        before = at
    return sheet


def cancelled_sheet(cancelled: Cancelled, job_id: str) -> Table:
    """What came of a cancel."""
    sheet = _grid()
    sheet.add_row("import job", _text(job_id))
    status = cancelled.job.get("status")
    sheet.add_row("status", _status(status) if isinstance(status, str) else ABSENT)
    sheet.add_row("trace", _text(cancelled.trace_id))
    return sheet


def progress_sheet(one: Followed, now: float) -> Table:
    """The progress of one job."""
    sheet = _sheet(one.job)
    sheet.add_row("status", progress_status(one))
    if not one.gone:
        sheet.add_row("elapsed", length(one.job.elapsed(now)))
    if not one.is_over:
        rate = one.pace.rate
        sheet.add_row("polls", ABSENT if rate is None else f"{rate:.2f} per second")
        seen = one.job.last_seen
        sheet.add_row("last seen", ABSENT if seen is None else f"{length(now - seen)} ago")
        sheet.add_row("expected end", expectation(one, now))
    return sheet


def progress_table(followed: Iterable[Followed], now: float) -> Table:
    """The progress of several jobs."""
    table = _table("KIND", "ID", "STATUS", "ELAPSED", "POLLS/S", "EXPECTED END")
    for one in followed:
        rate = None if one.is_over else one.pace.rate
        table.add_row(
            _text(one.job.kind),
            _text(one.job.id),
            progress_status(one),
            ABSENT if one.gone else length(one.job.elapsed(now)),
            ABSENT if rate is None else f"{rate:.2f}",
            ABSENT if one.is_over else expectation(one, now, brief=True),
        )
    return table


def progress_status(one: Followed) -> Text:
    """The status, with the error of a job that failed."""
    status = _status("gone" if one.gone else one.job.status)
    if one.job.error_code is not None:
        status.append(f" ({printable(one.job.error_code)})")
    return status


def expectation(one: Followed, now: float, *, brief: bool = False) -> str:
    """When a job is expected to end, and what that is drawn from."""
    usual, end = one.usual, one.expected_end
    if usual is None or end is None:
        return "unknown"
    basis = f"median of the last {usual.jobs} that succeeded"
    if end <= now:
        return (
            f"longer than usual ({length(usual.seconds)})"
            if brief
            else (f"longer than usual ({length(usual.seconds)}, {basis})")
        )
    remaining = f"in {length(end - now)}"
    return f"{remaining} (of {usual.jobs})" if brief else f"{remaining}, at {moment(end)} UTC ({basis})"


def _seen(job: Job) -> str:
    times = "" if job.sightings is None else f"{job.sightings} times, "
    return f"{times}first {moment(job.first_seen, exact=True)}, last {moment(job.last_seen, exact=True)}"


def _sheet(job: Job) -> Table:
    sheet = _grid()
    sheet.add_row(f"{printable(job.kind)} job", _text(job.id))
    return sheet


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in headings:
        # An id may be copied from here, so it is folded and never cut.
        table.add_column(heading, overflow="fold", no_wrap=heading not in {"ID", "STATUS", "EXPECTED END"})
    return table


def _text(text: str | None) -> Text:
    return Text(printable(text) if text else ABSENT)


def _status(status: str) -> Text:
    return Text(printable(status), _STYLES.get(status, ""))
