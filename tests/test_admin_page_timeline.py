"""The time line of the status page: which jobs it shows, and their bars on one axis."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gateway.admin.page import latest
from gateway.admin.page.timeline import SHOWN, Bar, timeline
from tests.support import glance
from tests.support.glance import NOW


def one(*jobs: Mapping[str, Any]) -> Any:
    return timeline(jobs, len(jobs), NOW, glance.UI)


def test_a_bar() -> None:
    """A bar reaches from created to finished on an axis that ends now; its pale part is the waiting."""
    line = one(glance.job())
    assert (line.span, line.half) == ("1 min", "30 s")
    assert line.rows[0].bar == Bar(start=30.0, width=53.33, waiting=13.33, is_cut=False)
    assert line.rows[0].took == "32 s"


def test_a_job_that_runs_reaches_to_now() -> None:
    """Without an end a bar ends at now, and its duration is counted on."""
    [row] = one(glance.running()).rows
    assert row.bar.start + row.bar.width == 100
    assert row.took is None


def test_one_old_job_does_not_flatten_the_others() -> None:
    """The axis shows where most jobs began; what ended before it has no bar, what still runs is cut."""
    old = {"createdDateTime": "2026-04-01T00:00:00.0000000Z"}
    ended = glance.job("old", **old, finishedDateTime="2026-04-01T01:00:00.0000000Z", durationSeconds=3600.0)
    line = one(*(glance.job(str(n)) for n in range(8)), ended, glance.running("stuck", **old))
    assert line.span == "1 min"
    assert line.rows[-2].bar is None
    assert (line.rows[-1].bar.is_cut, line.rows[-1].bar.start, line.rows[-1].bar.width) == (True, 0, 100)


def test_times_that_make_no_sense() -> None:
    """A job created in the future, or that ended before it began, still has a bar on the axis."""
    future = glance.running("early", createdDateTime="2026-05-28T21:00:00.0000000Z")
    backwards = glance.job("odd", finishedDateTime="2026-05-28T20:25:00.0000000Z", durationSeconds=None)
    for row in one(future, backwards).rows:
        assert row.bar is None or (row.bar.start >= 0 and 0 < row.bar.width <= 100)
    assert one(backwards).rows[0].took == "0.0 s"


def test_a_job_without_times() -> None:
    """What the service does not tell is what the gateway saw, and is marked so."""
    [row] = one(glance.job(createdDateTime=None, finishedDateTime=None, durationSeconds=None)).rows
    assert (row.is_first_seen, row.took) == (True, "32 s")


def test_a_status_of_a_later_version() -> None:
    """A job in an unknown status ends its bar where it is over, and reaches to now where it goes on."""
    over, on = one(glance.job(status="unknown"), glance.running(status="unknown")).rows
    assert (over.took, over.bar) == ("32 s", Bar(start=30.0, width=53.33, waiting=13.33, is_cut=False))
    assert (on.took, on.bar.start + on.bar.width) == (None, 100)


class Ledger:
    """Jobs as `JobsView` gives them, newest first."""

    statuses: Mapping[str, Collection[str]] = {
        "import": ("running", "unknown", "succeeded"),
        "deletion": ("running",),
    }

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self._jobs = jobs

    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Sequence[Mapping[str, object]], int]:
        found = [job for job in self._jobs if job["kind"] in kinds and job["status"] in statuses]
        return found[:limit], len(found)

    def unfinished(self, limit: int) -> Sequence[Mapping[str, object]]:
        return [job for job in self._jobs if not job["isOver"]][:limit]

    def job(self, kind: str, job_id: str) -> Mapping[str, object] | None:
        raise AssertionError((kind, job_id))


def test_unfinished_jobs_come_first() -> None:
    """An old job that goes on is before the newest that ended, whatever its status; each is there once."""
    finished = [glance.job(str(n)) for n in range(SHOWN + 10)]
    strange = glance.running("strange", status="unknown")
    old = glance.running("old")
    shown, total = latest(Ledger(glance.running("young"), finished[0], *finished[1:], strange, old))
    assert [job["id"] for job in shown[:4]] == ["young", "strange", "old", "0"]
    assert (len(shown), total) == (SHOWN, SHOWN + 13)
