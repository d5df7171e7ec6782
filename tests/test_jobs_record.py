"""What a further sighting may change in a record, and its view."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs import JobRecord, SpanContext, job_view
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import JobState
from gateway.jobs.record import MAX_HISTORY
from gateway.jobs.stored import from_bytes, store_key, to_bytes
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
    known = record("notstarted", "notstarted", "running", "notstarted", "succeeded")
    assert known.history == (
        ("notstarted", START),
        ("running", START + 2),
        ("succeeded", START + 4),
    )
    assert (known.changed, known.last_seen, known.sightings) == (START + 4, START + 4, 5)


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
        "isOver": True,
        "errorCode": "DTDLParsingError",
        "createdDateTime": at(0),
        "finishedDateTime": at(1),
        "purgeDateTime": None,
        "durationSeconds": 1.0,
        "firstSeen": at(0),
        "lastSeen": at(1),
        "sightings": 2,
        "createdHere": True,
        "traceId": "a" * 32,
        "traceSampled": True,
        "history": [{"status": "running", "seen": at(0)}, {"status": "failed", "seen": at(1)}],
    }


@pytest.mark.parametrize(
    ("status", "finished", "is_over"),
    [
        ("notstarted", None, False),
        ("running", None, False),
        ("cancelling", None, False),
        ("succeeded", None, True),
        ("failed", None, True),
        ("cancelled", None, True),
        ("running", 9, False),
        ("unknown", None, False),
        ("unknown", 9, True),
    ],
)
def test_whether_it_is_over(status: str, finished: float | None, *, is_over: bool) -> None:
    """The view says whether the job has ended; in a status that is not listed, by its finished time."""
    known = record(status)
    known.finished = None if finished is None else ns(finished)
    assert job_view(known)["isOver"] is is_over


def test_what_is_news() -> None:
    """A sighting is news where it changes anything but the time at which the job was seen."""
    known = record("running")
    for state, is_news in [
        (JobState("j", "running"), False),
        (JobState("j", "running", created=ns(0)), False),
        (JobState("j", "notstarted", purge=ns(5)), False),
        (JobState("j", "running", purge=ns(5)), True),
        (JobState("j", "running", purge=ns(6)), True),
        (JobState("j", "unknown"), True),
        (JobState("j", "unknown", finished=ns(2)), True),
        (JobState("j", "unknown"), False),
        (JobState("j", "failed", finished=ns(3)), True),
        (JobState("j", "failed", error_code="E"), True),
        (JobState("j", "failed", error_code="F"), False),
        (JobState("j", "succeeded"), False),
    ]:
        assert known.learn(state, START) is is_news, state


def test_the_format_of_the_store() -> None:
    """A record as an earlier version kept it is still read: names in the store are for good."""
    kept = (
        b'{"kind":"import","id":"j \\u00e9/1","first_seen":1772366400.0,"last_seen":1772366401.5,'
        b'"sightings":3,"created":1772366400000000100,"finished":1772366401000000000,'
        b'"purge":1774958400000000000,"error_code":"DTDLParsingError",'
        b'"history":[["running",1772366400.0],["failed",1772366401.5]],'
        b'"created_in":{"trace_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","span_id":"bbbbbbbbbbbbbbbb","sampled":true},'
        b'"created_here":true,"seen_unfinished":true,"counted":true,"left_at":1772366402.0,"later":1}'
    )
    known = from_bytes("import/j \u00e9/1", kept)
    assert known is not None
    assert json.loads(to_bytes(known)) == {
        name: value for name, value in json.loads(kept).items() if name != "later"
    }


RECORD = {"kind": "import", "id": "j", "first_seen": 5.0, "history": [["running", 5.0]]}


def test_the_least_record() -> None:
    """What was never known need not be there."""
    known = from_bytes("import/j", json.dumps(RECORD).encode())
    assert known is not None
    assert (known.status, known.created_in, known.left_at) == ("running", None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "cleanup"},
        {"id": ""},
        {"id": "k"},
        {"id": 5},
        {"history": []},
        {"history": [["pausing", 5.0]]},
        {"history": [["running", 5.0]] * (MAX_HISTORY + 1)},
        {"history": [["running", -1.0]]},
        {"first_seen": 1e12},
        {"last_seen": None},
        {"left_at": -5.0},
        {"created": 10**30},
        {"purge": -1},
        {"finished": 1.5},
        {"sightings": -1},
        {"error_code": "E\n"},
        {"error_code": "E" * 65},
        {"created_in": {"trace_id": "a" * 32, "span_id": "B" * 16, "sampled": True}},
        {"created_in": {"trace_id": "a" * 33, "span_id": "b" * 16, "sampled": True}},
    ],
)
def test_what_is_no_record(wrong: dict[str, object]) -> None:
    """A value with anything that the gateway would not have written is no record."""
    assert from_bytes("import/j", json.dumps(RECORD | wrong).encode()) is None


@given(st.one_of(st.binary(), st.text().map(str.encode), st.just(b"[" * 10_000)))
def test_any_bytes(value: bytes) -> None:
    """Whatever a store gives is a record or not, never an error."""
    assert from_bytes("import/j", value) is None


def test_there_and_back() -> None:
    """A record is the same after the store, each of its fields."""
    known = record("notstarted", "running", "unknown", "failed")
    known.learn(JobState("j", "failed", error_code="E", finished=ns(9), purge=ns(99)), START + 9)
    known.created_in = SpanContext("a" * 32, "b" * 16, sampled=False)
    known.created_here = known.counted = True
    known.left_at = 0.0
    back = from_bytes(store_key(known), to_bytes(known))
    assert back is not None
    assert msgspec.structs.asdict(back) == msgspec.structs.asdict(known)
