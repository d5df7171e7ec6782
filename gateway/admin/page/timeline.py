"""Jobs as rows, each with a bar on a common time axis that ends now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.admin.api import JobsView
from gateway.admin.page.links import job_link, trace_link
from gateway.admin.page.words import brief, shortened, took, visible

SHOWN: Final = 50
"""Rows of the table: one page to look at; `/api/jobs` has the rest."""

_NICE: Final = (
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
)
_IN_VIEW: Final = 0.75
"""The share of the jobs whose beginning the axis shows: one old job must not flatten all others."""
_LEAST: Final = 0.6
"""Width of the shortest bar, in per cent."""

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """Per cent of the axis; `waiting` is the part before the job was seen to run."""

    start: float
    width: float
    waiting: float
    is_cut: bool
    """It began before the axis does."""


@dataclass(frozen=True, slots=True)
class Row:
    """One job; times are seconds since the epoch."""

    kind: str
    id: str
    short: str
    link: str | None
    status: str
    began: float
    is_first_seen: bool
    """`began` is when the gateway first saw it, as the service told no time."""
    took: str | None
    """None while it lasts."""
    error: str | None
    trace_id: str | None
    trace_link: str | None
    bar: Bar | None
    """None where it ended before the axis begins."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows and their axis."""

    rows: Sequence[Row]
    more: int
    """Jobs that are not shown."""
    span: str
    """From the axis' beginning to now."""
    half: str


def latest(jobs: JobsView) -> tuple[Sequence[Job], int]:
    """The jobs to show, and how many there are: the unfinished first, then the newest."""
    known = jobs.statuses
    newest, total = jobs.jobs(known, {status for kind in known.values() for status in kind}, SHOWN)
    chosen = {(job["kind"], job["id"]): job for job in (*jobs.unfinished(SHOWN), *newest)}
    return sorted(chosen.values(), key=lambda job: bool(job["isOver"]))[:SHOWN], total


def timeline(jobs: Sequence[Job], total: int, now: float, ui_url: str | None) -> Timeline:
    """At most `SHOWN` of these jobs, in their order."""
    shown = jobs[:SHOWN]
    span = _span([now - _began(job) for job in shown])
    return Timeline(
        rows=[_row(job, now, span, ui_url) for job in shown],
        more=max(0, total - len(shown)),
        span=brief(span),
        half=brief(span / 2),
    )


def _span(ages: Sequence[float]) -> float:
    """The shortest nice length of an axis that shows where most of the jobs began."""
    reached = sorted(ages)[int(len(ages) * _IN_VIEW) - 1] if len(ages) > 1 else max(ages, default=0.0)
    for nice in _NICE:
        if reached <= nice:
            return float(nice)
    days = _NICE[-1]
    while days < reached:
        days *= 2
    return float(days)


def _row(job: Job, now: float, span: float, ui_url: str | None) -> Row:
    began, lasted = _began(job), job["durationSeconds"]
    if lasted is None and job["isOver"]:
        lasted = max(0.0, _ended(job, now) - began)
    job_id, trace_id = visible(job["id"]), job["traceId"]
    return Row(
        kind=visible(job["kind"]),
        id=job_id,
        short=shortened(job_id),
        link=job_link(job["kind"], job["id"]),
        status=visible(job["status"]),
        began=began,
        is_first_seen=job["createdDateTime"] is None,
        took=None if lasted is None else took(lasted),
        error=None if job["errorCode"] is None else visible(job["errorCode"]),
        trace_id=None if trace_id is None else visible(trace_id),
        trace_link=trace_link(ui_url, trace_id, sampled=job["traceSampled"]),
        bar=_bar(job, began, _ended(job, now), now, span),
    )


def _bar(job: Job, began: float, ended: float, now: float, span: float) -> Bar | None:
    begin = now - span
    if ended < begin:
        return None
    start = min(100 - _LEAST, 100 * max(0.0, began - begin) / span)
    end = 100 * min(1.0, (ended - begin) / span)
    width = max(_LEAST, end - start)
    ran = 100 * (_ran(job, began, ended) - begin) / span
    return Bar(
        start=round(start, 2),
        width=round(width, 2),
        waiting=round(min(width, max(0.0, ran - start)), 2),
        is_cut=began < begin,
    )


def _ran(job: Job, began: float, ended: float) -> float:
    """When it was first seen in another status than `notstarted`."""
    waited = [entry for entry in job["history"] if entry["status"] == "notstarted"]
    if not waited:
        return began
    moved = (entry["seen"] for entry in job["history"] if entry["status"] != "notstarted")
    seen = next(moved, None)
    return ended if seen is None else min(max(_seconds(seen), began), ended)


def _began(job: Job) -> float:
    return _seconds(job["createdDateTime"] or job["firstSeen"])


def _ended(job: Job, now: float) -> float:
    if not job["isOver"]:
        return now
    return _seconds(job["finishedDateTime"] or job["lastSeen"])


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
