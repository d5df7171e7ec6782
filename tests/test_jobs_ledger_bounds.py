"""How jobs leave the ledger, and what it shows of those that stay."""

import pytest

from gateway.jobs import STATUSES
from gateway.jobs.ledger import MAX_DEPARTED
from tests.support.job_answers import START, JobsRoom, at, ended, job


@pytest.fixture
def room() -> JobsRoom:
    """An empty ledger with its observer."""
    return JobsRoom()


def test_deleted_and_not_found(room: JobsRoom) -> None:
    """A deleted job leaves, and so does one the service says it does not know."""
    room.page(job("a"), job("b"))
    room.page(job("c"), kind="deletion")
    room.clock.tick()
    room.delete("a")
    room.not_found("b")
    room.not_found("c", kind="deletion")
    assert len(room.ledger) == 0
    assert not any(room.ledger.snapshot().counts.values())
    assert not room.finished


def test_a_poll_overtaken_by_the_deletion(room: JobsRoom) -> None:
    """A poll asked before the job left does not bring it back; one asked after does, and counts once."""
    room.answer("get", job("j"))
    room.answer("get", ended("j", 1))
    asked = room.clock.now
    room.clock.tick()
    room.delete("j")
    room.clock.tick()
    room.answer("get", ended("j", 1), asked=asked)
    assert room.ledger.get("import", "j") is None
    room.answer("get", ended("j", 1))
    assert room.known("j").status == "succeeded"
    assert len(room.finished) == 1


def test_used_again_after_a_deletion(room: JobsRoom) -> None:
    """A deleted id that is created again is a new job, and late news of the deleted one are ignored."""
    room.answer("add", job("j"))
    room.clock.tick()
    room.delete("j")
    room.answer("add", job("j", "notstarted", createdDateTime=at(1)))
    room.answer("get", ended("j", 1))
    assert room.known("j").status == "notstarted"
    assert not room.finished


def test_not_found_before_the_creation(room: JobsRoom) -> None:
    """A 404 that was asked for before the job was seen does not remove it."""
    asked = room.clock.now
    room.clock.tick()
    room.answer("add", job("j"))
    room.not_found("j", asked=asked)
    assert room.known("j").created_here


def test_purged_jobs_leave(room: JobsRoom) -> None:
    """A job leaves when its own purge time has passed, and its finish is not told again afterwards."""
    room.answer("get", job("j", purgeDateTime=at(100)))
    room.answer("get", ended("j", 1, purgeDateTime=at(100)))
    room.page(job("other", purgeDateTime=at(200)))
    room.clock.tick(99)
    assert room.count("succeeded") == 1
    room.clock.tick(1)
    assert room.count("succeeded") == 0
    assert room.ledger.get("import", "j") is None
    assert room.ledger.get("import", "other") is not None
    room.page(ended("j", 1, purgeDateTime=at(100)))
    assert len(room.finished) == 1


def test_a_running_job_outlives_an_absurd_purge_time(room: JobsRoom) -> None:
    """A job seen unfinished after its purge time is still there, and its end counts."""
    room.answer("get", job("j", purgeDateTime=at(-100)))
    room.clock.tick()
    assert room.count("running") == 1
    room.answer("get", ended("j", 1, purgeDateTime=at(-100)))
    assert len(room.finished) == 1
    assert room.count("succeeded") == 0


def test_an_unfinished_job_that_nobody_polls_is_purged(room: JobsRoom) -> None:
    """A job last seen unfinished before its purge time leaves with it."""
    room.answer("get", job("j", purgeDateTime=at(100)))
    room.clock.tick(101)
    assert room.ledger.get("import", "j") is None
    assert room.ledger.snapshot().oldest_active["import"] == 0.0


def test_oldest_finished_leave_first() -> None:
    """A full ledger lets the oldest finished jobs go, then the unfinished ones not seen for longest."""
    room = JobsRoom(max_tracked=3)
    room.page(job("a"), job("b"))
    room.page(ended("late", 20), ended("early", 10))
    assert {record.id for record in room.ledger.jobs()} == {"a", "b", "late"}
    room.clock.tick()
    room.page(job("b"), job("c"), job("d"))
    assert {record.id for record in room.ledger.jobs()} == {"b", "c", "d"}


def test_a_full_ledger_makes_room_for_more_than_one() -> None:
    """A large ledger that is full lets a hundredth go at once: it is not searched for each new job."""
    room = JobsRoom(max_tracked=200)
    room.page(*[ended(str(number), number) for number in range(200)])
    assert len(room.ledger) == 200
    room.answer("get", job("one more"))
    assert {record.id for record in room.ledger.jobs()} == {"one more", *map(str, range(3, 200))}


def test_a_forgotten_finish_is_not_told_again() -> None:
    """A job that a full ledger forgot is not counted again when a list shows it."""
    room = JobsRoom(max_tracked=1)
    room.clock.tick(60)
    for _ in range(3):
        room.page(ended("a", 10), ended("b", 20))
    assert sorted(finish.id for finish in room.finished) == ["a", "b"]
    room.page(ended("c", 30))
    assert len(room.finished) == 3


def test_deleted_after_the_ledger_let_it_go() -> None:
    """A job without room that was deleted is not brought back by a poll that the deletion overtook."""
    room = JobsRoom(max_tracked=1)
    room.answer("get", job("a"))
    asked = room.clock.now
    room.clock.tick()
    room.answer("get", job("b"))
    room.delete("a")
    room.answer("get", ended("a", 1), asked=asked)
    assert [record.id for record in room.ledger.jobs()] == ["b"]
    assert not room.finished


def test_what_left_is_bounded() -> None:
    """Jobs that left do not fill the memory, and those forgotten are not told again."""
    room = JobsRoom(max_tracked=10)
    jobs = [ended(f"j{number}", number, createdDateTime=at(number)) for number in range(MAX_DEPARTED + 5)]
    for each in jobs:
        room.clock.tick()
        room.answer("add", each)
        room.delete(str(each["id"]))
    room.page(*jobs[:5])
    assert len(room.finished) == len(jobs)


def test_an_absurd_finish_does_not_silence_others() -> None:
    """A forgotten finish in the far future does not keep later ones from being counted."""
    room = JobsRoom(max_tracked=1)
    room.answer("get", ended("far", 10_000_000))
    room.delete("far")
    for number in range(MAX_DEPARTED + 1):
        room.answer("get", job(f"j{number}"))
    room.clock.tick(10)
    room.page(ended("real", 5))
    assert [finish.id for finish in room.finished] == ["far", "real"]


def test_snapshot_of_an_empty_ledger(room: JobsRoom) -> None:
    """Every status of both kinds is there from the start."""
    snapshot = room.ledger.snapshot()
    assert snapshot.counts == {(kind, status): 0 for kind in STATUSES for status in STATUSES[kind]}
    assert snapshot.oldest_active == {"import": 0.0, "deletion": 0.0}
    assert snapshot.last_sync is None


def test_oldest_active_age(room: JobsRoom) -> None:
    """The age is of the oldest unfinished job, by its created time, and never negative."""
    room.page(job("young", createdDateTime=at(5)), job("old", createdDateTime=at(-60)))
    room.page(job("timeless", createdDateTime=None), kind="deletion")
    room.clock.tick(10)
    assert room.ledger.snapshot().oldest_active == {"import": 70.0, "deletion": 10.0}
    room.page(ended("old", 1, createdDateTime=at(-60)))
    assert room.ledger.snapshot().oldest_active["import"] == 5.0
    room.clock.now = START - 3600
    assert room.ledger.snapshot().oldest_active == {"import": 0.0, "deletion": 0.0}


def test_last_sync(room: JobsRoom) -> None:
    """The last sync is when an answer was last read, one about no job included."""
    room.clock.tick(7)
    room.page()
    assert room.ledger.snapshot().last_sync == START + 7


def test_jobs_newest_first(room: JobsRoom) -> None:
    """The jobs are listed newest first."""
    room.page(*[job(str(n), createdDateTime=at(n)) for n in (2, 3, 1)])
    assert [record.id for record in room.ledger.jobs()] == ["3", "2", "1"]
