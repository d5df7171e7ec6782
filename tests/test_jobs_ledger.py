"""Which answers the ledger believes, and which finishes it tells."""

import pytest

from gateway.jobs import SpanContext
from tests.support.job_answers import JobsRoom, at, ended, job


@pytest.fixture
def room() -> JobsRoom:
    """An empty ledger with its observer."""
    return JobsRoom()


def test_a_finish_is_told_once(room: JobsRoom) -> None:
    """However often the end of a job is polled and listed, it is told once."""
    room.answer("get", job("j"))
    for _ in range(5):
        room.clock.tick()
        room.answer("get", ended("j", 1))
        room.page(ended("j", 1))
    assert len(room.finished) == 1
    assert room.count("succeeded") == 1
    assert room.count("running") == 0


def test_what_a_finish_tells(room: JobsRoom) -> None:
    """A finish has kind, id, status, error code, duration, and the spans of creation and news."""
    room.answer("add", job("j", "notstarted"), trace=1)
    room.answer("get", ended("j", 90, "failed", error={"code": "DTDLParsingError"}), trace=2)
    (finish,) = room.finished
    assert (finish.kind, finish.id, finish.status, finish.error_code) == (
        "import",
        "j",
        "failed",
        "DTDLParsingError",
    )
    assert finish.duration == 90.0
    assert finish.created_in == SpanContext(f"{1:032x}", f"{1:016x}", sampled=True)
    assert finish.seen_in == SpanContext(f"{2:032x}", f"{2:016x}", sampled=True)


def test_history_before_the_start_is_not_counted(room: JobsRoom) -> None:
    """A job that had finished before the gateway started is shown but not counted."""
    room.page(ended("old", -1), ended("new", 1))
    assert [finish.id for finish in room.finished] == ["new"]
    assert room.count("succeeded") == 2


def test_an_end_without_a_time(room: JobsRoom) -> None:
    """An end without a finished time counts if the job was seen unfinished or created here, else it waits."""
    room.answer("get", job("seen"))
    room.answer("add", job("made", "succeeded"))
    room.page(job("seen", "failed"), job("made", "succeeded"), job("foreign", "succeeded"))
    assert sorted(finish.id for finish in room.finished) == ["made", "seen"]
    assert {finish.duration for finish in room.finished} == {None}
    room.answer("get", ended("foreign", 5))
    assert len(room.finished) == 3


def test_times_are_instants(room: JobsRoom) -> None:
    """The same created time written differently is the same job."""
    room.answer("get", job("j", createdDateTime="2026-03-01T12:00:00.1000000+00:00"))
    room.answer("get", ended("j", 9, createdDateTime="2026-03-01T12:00:00.1Z"))
    room.answer("get", job("j", createdDateTime="2026-03-01T14:00:00.1+02:00"))
    assert len(room.finished) == 1
    assert room.known("j").status == "succeeded"


def test_an_older_job_of_the_same_id(room: JobsRoom) -> None:
    """An answer about an older job of the id changes nothing, be it by 100 ns."""
    room.answer("get", job("j", createdDateTime="2026-03-01T12:00:00.0000002Z"))
    room.answer("get", ended("j", 5, createdDateTime="2026-03-01T12:00:00.0000001Z"))
    assert room.known("j").status == "running"
    assert not room.finished


def test_an_id_used_again(room: JobsRoom) -> None:
    """An id used again is a new job: its end counts again and it has a history of its own."""
    room.answer("add", job("j"))
    room.answer("get", ended("j", 5))
    room.answer("get", job("j", createdDateTime=at(10)))
    assert [status for status, _ in room.known("j").history] == ["running"]
    assert not room.known("j").created_here
    room.answer("get", ended("j", 15, createdDateTime=at(10)))
    assert [finish.duration for finish in room.finished] == [5.0, 5.0]
    assert len(room.ledger) == 1


def test_a_creation_without_a_time_uses_the_id_again(room: JobsRoom) -> None:
    """A creation is a new job where the known one has ended, even if its answer has no created time."""
    room.answer("add", job("j"))
    room.answer("get", ended("j", 5))
    room.answer("add", {"id": "j", "status": "notstarted"})
    assert room.known("j").status == "notstarted"


def test_out_of_order_polls(room: JobsRoom) -> None:
    """An answer that was overtaken by the end neither reopens the job nor counts it again."""
    for status in ("notstarted", "running"):
        room.answer("get", job("j", status))
    room.answer("get", ended("j", 5))
    room.answer("get", job("j", "running"))
    room.answer("get", ended("j", 5))
    assert room.known("j").status == "succeeded"
    assert len(room.finished) == 1


def test_the_creation_is_heard_late(room: JobsRoom) -> None:
    """A poll may overtake the answer to the creation: the job still gets its trace, and keeps its status."""
    room.answer("get", job("j", "running"))
    room.answer("add", job("j", "notstarted"), trace=7)
    record = room.known("j")
    assert record.status == "running"
    assert record.created_here
    assert record.created_in == SpanContext(f"{7:032x}", f"{7:016x}", sampled=True)


def test_kinds_are_apart(room: JobsRoom) -> None:
    """An import and a deletion of the same id are two jobs, and ids are case-sensitive."""
    room.answer("get", job("j"))
    room.answer("get", job("J"))
    room.answer("get", job("j"), kind="deletion")
    assert len(room.ledger) == 3
    assert room.count("running") == 2
    assert room.count("running", "deletion") == 1


def test_missing_from_a_list(room: JobsRoom) -> None:
    """A job that a page does not show is still known."""
    room.page(job("a"), job("b"))
    room.page(job("b"))
    assert room.ledger.get("import", "a") is not None
