"""What a further sighting may change in a record, and its view."""

import json

import pytest

from gateway.jobs import JobRecord, SpanContext, job_view
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import JobState
from gateway.jobs.record import MAX_HISTORY
from tests.support.job_answers import START, at


def ns(seconds: float) -> int:
    """An instant, in seconds after the start."""
    return int((START + seconds) * NANOSECONDS)


def record(*statuses: str) -> JobRecord:
    """A record that learned these statuses, one a second."""
    known = JobRecord("import", "j", first_seen=START)
    for second, status in enumerate(statuses):
        known.learn(JobState("j", status, created=ns(0)), START + second)
    return known


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (("running", "notstarted"), "running"),
        (("cancelling", "running"), "cancelling"),
        (("succeeded", "running"), "succeeded"),
        (("succeeded", "unknown"), "succeeded"),
        (("failed", "succeeded"), "failed"),
        (("cancelled", "cancelling"), "cancelled"),
        (("running", "unknown", "notstarted"), "unknown"),
        (("running", "unknown", "running"), "running"),
        (("notstarted", "running", "cancelling", "succeeded"), "succeeded"),
    ],
)
def test_statuses_do_not_go_back(told: tuple[str, ...], status: str) -> None:
    """An end is final and progress is never taken back; a status that is not listed has no order."""
    assert record(*told).status == status


def test_history() -> None:
    """The history has each change once, with the time it was seen."""
    assert record("notstarted", "notstarted", "running", "notstarted", "succeeded").history == [
        ("notstarted", START),
        ("running", START + 2),
        ("succeeded", START + 4),
    ]


def test_history_is_bounded() -> None:
    """A service that goes back and forth does not fill the memory; first and last changes stay."""
    known = record("notstarted", *["running", "unknown"] * 100)
    assert len(known.history) == MAX_HISTORY
    assert known.history[0][0] == "notstarted"
    assert known.history[-1] == ("unknown", START + 200)


def test_unlisted_status_with_a_finished_time() -> None:
    """A status that is not listed is an end with a finished time, and a listed end may name it later."""
    known = record("running", "unknown")
    known.learn(JobState("j", "unknown", finished=ns(9)), START + 3)
    known.learn(JobState("j", "running"), START + 4)
    assert (known.status, known.duration) == ("unknown", 9.0)
    known.learn(JobState("j", "failed", error_code="E", finished=ns(10)), START + 5)
    assert (known.status, known.error_code, known.duration) == ("failed", "E", 9.0)


@pytest.mark.parametrize(
    ("created", "finished", "duration"),
    [(0, 90.5, 90.5), (0, 0, 0.0), (10, 5, None), (None, 5, None), (0, None, None)],
)
def test_duration(created: float | None, finished: float | None, duration: float | None) -> None:
    """The duration is from created to finished, and absent rather than negative."""
    known = JobRecord("import", "j", first_seen=START)
    known.created = None if created is None else ns(created)
    known.finished = None if finished is None else ns(finished)
    assert known.duration == duration


def test_view() -> None:
    """A record is shown as JSON with history, times and the trace that created it."""
    known = record("running", "failed")
    known.error_code = "DTDLParsingError"
    known.finished = ns(1)
    known.created_in = SpanContext("a" * 32, "b" * 16, sampled=True)
    known.created_here = True
    assert json.loads(json.dumps(job_view(known))) == {
        "kind": "import",
        "id": "j",
        "status": "failed",
        "errorCode": "DTDLParsingError",
        "createdDateTime": at(0),
        "finishedDateTime": at(1),
        "purgeDateTime": None,
        "durationSeconds": 1.0,
        "firstSeen": at(0),
        "lastSeen": at(1),
        "createdHere": True,
        "traceId": "a" * 32,
        "history": [{"status": "running", "seen": at(0)}, {"status": "failed", "seen": at(1)}],
    }
