"""What the ledger of the next gateway knows, and what it does not tell again."""

import logging

import pytest

from gateway.jobs import SpanContext, job_view
from gateway.jobs.ledger import MAX_DEPARTED, SPACE
from tests.support.job_answers import START, JobsRoom, at, ended, job
from tests.support.stores import KeepingStore


@pytest.fixture
def store() -> KeepingStore:
    """A store that outlives its ledgers."""
    return KeepingStore()


@pytest.fixture
def room(store: KeepingStore) -> JobsRoom:
    """An empty ledger with its observer."""
    return JobsRoom(store=store)


def test_an_unfinished_job_goes_on(room: JobsRoom) -> None:
    """A job that had not ended is still known, with the span that created it and its whole history."""
    room.answer("add", job("j", "notstarted"), trace=7)
    room.clock.tick(60)
    room.answer("get", job("j", "running", purgeDateTime=at(9000)))
    room.page(job("foreign", createdDateTime=at(-9)), kind="deletion")
    before = [job_view(record) for record in room.ledger.jobs()]
    room.clock.tick(3600)
    room.restart()
    assert [job_view(record) for record in room.ledger.jobs()] == before
    assert [record.id for record in room.ledger.unfinished()] == ["foreign", "j"]
    assert room.count("running") == room.count("running", "deletion") == 1
    assert room.ledger.snapshot().oldest_active == {"import": 3660.0, "deletion": 3669.0}
    assert room.ledger.snapshot().last_sync is None


def test_a_job_that_ended_meanwhile(room: JobsRoom) -> None:
    """A job that ended while no gateway ran is told once, as the work of the call that began it."""
    room.answer("add", job("j", "notstarted"), trace=7)
    room.clock.tick(600)
    room.restart()
    for _ in range(2):
        room.answer("get", ended("j", 90, "failed", error={"code": "DTDLParsingError"}), trace=9)
    (finish,) = room.finished
    assert finish.created_in == SpanContext(f"{7:032x}", f"{7:016x}", sampled=True)
    assert finish.seen_in == SpanContext(f"{9:032x}", f"{9:016x}", sampled=True)
    assert finish.history == (("notstarted", START), ("failed", START + 600))
    assert (finish.first_seen, finish.last_seen, finish.duration) == (START, START + 600, 90.0)
    assert (finish.finished or 0) - (finish.created or 0) == 90_000_000_000


def test_a_finish_is_not_told_again(room: JobsRoom) -> None:
    """However often the gateway starts again, a finish that was told stays told."""
    room.answer("add", job("j"))
    room.answer("get", ended("j", 5))
    for _ in range(3):
        room.clock.tick(-3600)
        room.restart()
        room.page(ended("j", 5))
        room.answer("get", ended("j", 5))
    assert len(room.finished) == 1
    assert room.count("succeeded") == 1


def test_history_stays_history(room: JobsRoom) -> None:
    """What had ended before the gateway first ran is not news because the clock was set back."""
    room.page(ended("old", -60))
    room.clock.tick(-3600)
    room.restart()
    room.page(ended("old", -60, purgeDateTime=at(900)), ended("foreign", -50))
    assert [finish.id for finish in room.finished] == ["foreign"]


def test_what_left_does_not_come_back(room: JobsRoom) -> None:
    """A job that left is not there after a restart; shown again it is, and its finish stays told."""
    room.answer("add", job("deleted"))
    room.answer("get", ended("deleted", 1))
    room.answer("get", job("unknown"))
    asked = room.clock.now
    room.clock.tick()
    room.delete("deleted")
    room.not_found("unknown")
    room.clock.tick()
    room.restart()
    assert len(room.ledger) == 0
    room.answer("get", ended("deleted", 1), asked=asked)
    assert len(room.ledger) == 0
    room.page(ended("deleted", 1))
    assert room.known("deleted").status == "succeeded"
    assert len(room.finished) == 1


def test_used_again_after_a_restart(room: JobsRoom) -> None:
    """An id that is created again after a restart is a new job, in the store too."""
    room.answer("add", job("j"))
    room.delete("j")
    room.restart()
    room.answer("add", job("j", "notstarted", createdDateTime=at(10)))
    room.restart()
    assert [status for status, _ in room.known("j").history] == ["notstarted"]


def test_purged_while_no_gateway_ran(room: JobsRoom) -> None:
    """A job whose purge time passed meanwhile is gone after the restart."""
    room.page(ended("gone", 1, purgeDateTime=at(100)), ended("there", 1, purgeDateTime=at(9000)))
    room.clock.tick(200)
    room.restart()
    assert [record.id for record in room.ledger.jobs()] == ["there"]
    room.clock.tick(9000)
    assert room.ledger.jobs() == []


def test_a_running_job_that_outlived_its_purge_time(room: JobsRoom) -> None:
    """A job that was seen unfinished after its purge time is still followed after a restart."""
    room.answer("get", job("j", purgeDateTime=at(100)))
    room.clock.tick(101)
    room.answer("get", job("j", purgeDateTime=at(100)))
    room.restart()
    assert [record.id for record in room.ledger.unfinished()] == ["j"]


def test_a_smaller_ledger(room: JobsRoom) -> None:
    """A bound that was lowered holds from the start, and the oldest finished jobs leave."""
    room.page(*[ended(str(number), number) for number in range(5)], job("runs"))
    room.max_tracked = 3
    room.restart()
    assert {record.id for record in room.ledger.jobs()} == {"3", "4", "runs"}


def test_only_changes_are_written(room: JobsRoom, store: KeepingStore) -> None:
    """Polls and lists that say nothing new are not written; each change is written once."""
    room.answer("add", job("j", "notstarted"))
    assert store.changes == 1
    for _ in range(10):
        room.clock.tick()
        room.answer("get", job("j", "notstarted"))
        room.page(job("j", "notstarted"))
    assert store.changes == 1
    for answer in (job("j"), job("j", purgeDateTime=at(900)), ended("j", 5, purgeDateTime=at(900))):
        room.answer("get", answer)
        room.answer("get", job("j", "notstarted"))
    assert store.changes == 4
    assert room.known("j").sightings == 27


def test_a_job_that_is_shown_after_its_purge_time(room: JobsRoom, store: KeepingStore) -> None:
    """A service that goes on to show what it should have purged causes no writes."""
    room.answer("get", ended("j", 5, purgeDateTime=at(-1)))
    changes = store.changes
    for _ in range(10):
        room.clock.tick()
        room.page(ended("j", 5, purgeDateTime=at(-1)))
    assert store.changes == changes
    assert len(room.ledger) == 0
    assert len(room.finished) == 1


def test_the_store_is_bounded(store: KeepingStore) -> None:
    """However many jobs pass, the store has those of the ledger and the last that left."""
    room = JobsRoom(max_tracked=10, store=store)
    for number in range(MAX_DEPARTED + 50):
        room.clock.tick()
        room.answer("add", ended(str(number), number, createdDateTime=at(number)))
    assert len(store.spaces[SPACE]) == MAX_DEPARTED + 10
    room.restart()
    assert len(room.ledger) == 10
    room.page(*[ended(str(n), n, createdDateTime=at(n)) for n in range(100, MAX_DEPARTED)])
    assert len(room.finished) == MAX_DEPARTED + 50


def test_garbage_in_the_store(room: JobsRoom, store: KeepingStore, caplog: pytest.LogCaptureFixture) -> None:
    """What is no record is skipped and counted in one line; the others are there."""
    room.answer("add", job("j"))
    room.page(job("k"))
    values = store.spaces[SPACE]
    values |= {
        "import/other": values["import/j"],
        "import/k": values["import/k"][:-9],
        "": b"",
        "import/x": b"\xff\xfe",
    }
    with caplog.at_level(logging.WARNING, "gateway.jobs"):
        room.restart()
    assert [record.message for record in caplog.records] == [
        "4 entries of the jobs' store are no job records: skipped"
    ]
    assert [record.id for record in room.ledger.jobs()] == ["j"]
    room.page(job("k"))
    room.restart()
    assert len(room.ledger) == 2


def test_the_job_in_the_way(room: JobsRoom) -> None:
    """The unfinished job that was seen last is in the way; of those seen together the one that runs."""
    assert room.ledger.active_job() is None
    room.page(ended("over", 1), job("odd", "paused"))
    assert room.ledger.active_job() is None
    room.page(job("waits", "notstarted"), job("runs"))
    assert room.ledger.active_job() is room.known("runs")
    room.clock.tick()
    room.page(job("d", "notstarted"), kind="deletion")
    assert room.ledger.active_job() is room.known("d", "deletion")
    room.page(ended("d", 1), kind="deletion")
    assert room.ledger.active_job() is room.known("runs")


def test_newest_and_unfinished(room: JobsRoom) -> None:
    """The newest come first, only so many; the unfinished come oldest first, whatever their kind."""
    room.page(*[job(str(n), createdDateTime=at(n)) for n in (2, 5, 1)], ended("9", 19, createdDateTime=at(9)))
    room.page(job("3", createdDateTime=at(3)), kind="deletion")
    assert [record.id for record in room.ledger.newest(3)] == ["9", "5", "3"]
    assert [record.id for record in room.ledger.newest(99)] == ["9", "5", "3", "2", "1"]
    assert room.ledger.newest(0) == []
    assert [record.id for record in room.ledger.unfinished()] == ["1", "2", "3", "5"]


def test_the_clock_is_set_back_after_a_job_left(room: JobsRoom) -> None:
    """A job that is shown again is there, even if it seems to have left at a time to come."""
    room.answer("get", job("j"))
    room.clock.tick(3600)
    room.delete("j")
    room.clock.tick(-7200)
    room.answer("get", job("j"))
    assert room.known("j").status == "running"


def test_the_clock_is_set_back_after_a_job_was_seen(room: JobsRoom) -> None:
    """A job that seems to have been seen at a time to come can be deleted."""
    room.answer("get", job("j"))
    room.clock.tick(-3600)
    room.delete("j")
    assert len(room.ledger) == 0


def test_a_finish_that_was_just_told_is_offered_for_its_span(room: JobsRoom) -> None:
    """Spans go out seconds after they end: the last minute's finishes are there again after a restart."""
    room.answer("add", job("old"), trace=7)
    room.answer("get", ended("old", 5))
    room.clock.tick(61)
    room.answer("add", job("new", createdDateTime=at(61)), trace=8)
    room.answer("get", ended("new", 64, createdDateTime=at(61)))
    room.page(ended("history", -500))
    room.clock.tick(30)
    room.restart()
    [again] = room.ledger.told_before
    assert (again.id, again.created_in) == ("new", SpanContext(f"{8:032x}", f"{8:016x}", sampled=True))
    room.clock.tick(31)
    room.restart()
    assert not room.ledger.told_before
