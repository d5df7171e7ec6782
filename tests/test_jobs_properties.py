"""Random interleavings of polls, lists, overtaken answers, deletions, ids used again, and restarts.

A small service runs jobs; its answers wait in flight and are delivered in any order, some twice, while the
gateway's clock is set back and forth. An oracle that knows only the rules, and nothing of how the ledger
keeps them, says what the ledger must show.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.config import Jobs
from gateway.jobs import SpanContext, job_view
from gateway.jobs.ledger import MAX_DEPARTED
from gateway.jobs.model import MAX_ID, STATUSES, JobState
from gateway.jobs.shown import Shown
from gateway.jobs.stores import open_store
from tests.support.job_answers import START, JobsRoom, job
from tests.support.job_service import ENDS, NAMES, STEPS, Answer, Name, Oracle, Service, ServiceJob


def deliver(room: JobsRoom, answer: Answer) -> None:
    """Let an answer pass by the gateway."""
    (kind, job_id), asked = answer.name, START + answer.asked
    if answer.operation == "delete":
        room.delete(job_id, asked=asked)
    elif answer.operation == "list":
        room.page(*[each.wire() for each in answer.jobs], kind=kind, asked=asked)
    elif not answer.jobs:
        room.not_found(job_id, kind=kind, asked=asked)
    else:
        room.answer(answer.operation, answer.jobs[0].wire(), kind=kind, asked=asked)


HISTORY = st.dictionaries(st.sampled_from(NAMES), st.integers(-1000, -1))
SCRIPT = st.lists(
    st.tuples(st.sampled_from(STEPS), st.sampled_from(NAMES), st.integers(0, 9)), min_size=10, max_size=120
)
Script = list[tuple[str, Name, int]]
ONE = NAMES[0]
DENIED_TWICE = [
    *(("poll", ONE, 0), ("deliver", ONE, 0), ("miss", ONE, 0), ("poll", ONE, 0), ("poll", ONE, 0)),
    *(("miss", ONE, 0), ("deliver", ONE, 0), ("poll", ONE, 0), ("deliver", ONE, 2), ("deliver", ONE, 2)),
]
"""A second 404 of a job that is gone overtakes the answer to a poll from before it."""


def play(room: JobsRoom, history: dict[Name, int], script: Script) -> Iterator[Oracle]:
    """Run the script against a room, with jobs that ended before the gateway first started."""
    service, oracle = Service(), Oracle()
    for (kind, job_id), end in history.items():
        past = ServiceJob(kind, job_id, end - 60.0, "succeeded", float(end))
        service.jobs[kind, job_id] = past
    for step, name, choice in script:
        answer = service.step(step, name, choice)
        room.clock.now = START + service.wall
        if step == "restart":
            oracle.restart(service.wall)
            room.restart()
        if answer is not None:
            oracle.hear(answer, service.wall)
            deliver(room, answer)
        yield oracle


def check_gauges(room: JobsRoom) -> None:
    """The gauges are those of the records, and no age is negative."""
    records = room.ledger.jobs()
    snapshot = room.ledger.snapshot()
    counted = Counter((record.kind, record.status) for record in records)
    assert snapshot.counts == {
        (kind, status): counted[kind, status] for kind in STATUSES for status in STATUSES[kind]
    }
    for kind, age in snapshot.oldest_active.items():
        begun = [record.since for record in records if record.kind == kind and not record.is_over]
        assert age == max([0.0, *(room.clock.now - since for since in begun)])
    assert {id(record) for record in room.ledger.unfinished()} == {
        id(record) for record in records if not record.is_over
    }


def check(room: JobsRoom, oracle: Oracle) -> None:
    """Finishes told equal the distinct finished jobs of the rules, and so do the jobs in the ledger."""
    told = Counter((kind, job_id) for kind, job_id, _ in oracle.told)
    assert Counter((finish.kind, finish.id) for finish in room.finished) == told
    shown = {(record.kind, record.id): record.status for record in room.ledger.jobs()}
    assert shown == {name: known.status for name, known in oracle.shown.items()}
    check_gauges(room)


@settings(max_examples=200, deadline=None)
@given(HISTORY, SCRIPT)
@example({ONE: -1}, DENIED_TWICE)
def test_any_interleaving(history: dict[Name, int], script: Script) -> None:
    """Finishes told equal the distinct finished jobs of the rules, and the gauges equal the ledger."""
    room = JobsRoom()
    for oracle in play(room, history, script):
        check(room, oracle)
    assert all(finish.duration is not None and finish.duration >= 0 for finish in room.finished)


@settings(max_examples=100, deadline=None)
@given(HISTORY, SCRIPT)
def test_any_interleaving_in_a_small_ledger(history: dict[Name, int], script: Script) -> None:
    """A ledger that is too small stays within its bound, and still tells no finish twice."""
    room = JobsRoom(max_tracked=2)
    for oracle in play(room, history, script):
        assert len(room.ledger) <= 2
        told = Counter((kind, job_id) for kind, job_id, _ in oracle.told)
        assert Counter((finish.kind, finish.id) for finish in room.finished) <= told
        check_gauges(room)


@dataclass
class FileRoom(JobsRoom):
    """A room whose ledger is kept in a file."""

    path: Path = Path()

    def __post_init__(self) -> None:
        self.runner = asyncio.Runner()
        super().__post_init__()

    def restart(self) -> None:
        """Close the file, and begin again with what is in it."""
        self.runner.run(self.store.aclose())
        self.store = self.runner.run(open_store(Jobs(store=f"sqlite://{self.path}"), log=pytest.fail))
        super().restart()

    def close(self) -> None:
        """Close the file for good."""
        self.runner.run(self.store.aclose())
        self.runner.close()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(HISTORY, SCRIPT)
def test_any_interleaving_with_a_file(history: dict[Name, int], script: Script) -> None:
    """The same with a real file between the gateways."""
    with TemporaryDirectory() as folder, closing(FileRoom(path=Path(folder) / "jobs.db")) as room:
        for oracle in play(room, history, script):
            check(room, oracle)
        room.restart()
        check(room, oracle)


INSTANTS = st.none() | st.integers(946_684_800, 7_258_118_399).map(lambda seconds: seconds * 1_000_000_000)
STATES = st.builds(
    JobState,
    id=st.sampled_from(["j", "k"]) | st.text(min_size=1, max_size=9) | st.just("é" * MAX_ID),
    status=st.sampled_from(STATUSES["import"]),
    error_code=st.none() | st.just("E"),
    created=INSTANTS,
    finished=INSTANTS,
    purge=INSTANTS,
)
CLOCK = st.floats(0, 7e9)
HEARD = st.tuples(st.sampled_from(["created", "seen", "left", "restart"]), STATES, CLOCK, st.none() | CLOCK)


@settings(max_examples=100, deadline=None)
@given(st.lists(HEARD, max_size=20))
def test_absurd_times_and_ids(
    heard: list[tuple[str, JobState, float, float | None]],
) -> None:
    """Whatever the times and ids of an answer, and the clock, it is shown, and known after a restart."""
    room, span = JobsRoom(), SpanContext("a" * 32, "b" * 16, sampled=True)
    for what, state, now, asked in heard:
        room.clock.now = now
        if what == "created":
            room.ledger.created("import", state, span, asked)
        elif what == "seen":
            room.ledger.seen("import", Shown((state,)), span, asked)
        elif what == "left":
            room.ledger.left("import", state.id, asked)
        else:
            before = {record.id: job_view(record) for record in room.ledger.jobs()}
            room.restart()
            after = {record.id: job_view(record) for record in room.ledger.jobs()}
            assert {job_id: as_kept(view) for job_id, view in after.items()} == {
                job_id: as_kept(view) for job_id, view in before.items()
            }
        check_gauges(room)
        json.dumps([job_view(record) for record in room.ledger.newest(10)])
        room.ledger.active_job()
    if all(state.created for what, state, *_ in heard if what == "created"):
        # A creation without a time is another job by the same id; with one, id and time are the job.
        told = Counter((finish.id, finish.created) for finish in room.finished if finish.created)
        assert all(times == 1 for times in told.values())
    assert all((finish.duration or 0) >= 0 for finish in room.finished)


def as_kept(view: dict[str, object]) -> dict[str, object]:
    """What of a view the store has: not when and how often the job was seen since its last change."""
    return {name: value for name, value in view.items() if name not in {"lastSeen", "sightings"}}


def test_memory_is_bounded() -> None:
    """However many jobs pass, what is kept of them is bounded by configuration."""
    room = JobsRoom(max_tracked=7)
    for number in range(0, MAX_DEPARTED + 200, 100):
        room.clock.tick()
        room.page(*[job(str(number + item), ENDS[item % 3]) for item in range(100)])
    assert len(room.ledger) == 7
    assert len(room.ledger._departed) == MAX_DEPARTED
