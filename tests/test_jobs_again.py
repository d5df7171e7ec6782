"""A poll that says what is known costs little and changes nothing that it would not have changed before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config import Jobs
from gateway.jobs import FinishedJob, JobRecord, Ledger, SpanContext
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import STATUSES, UNKNOWN, JobState
from gateway.jobs.shown import Shown
from tests.support.job_answers import START, Clock, JobsRoom, ended, job
from tests.support.stores import KeepingStore

SPAN = SpanContext("a" * 32, "b" * 16, sampled=True)
TIMES = st.none() | st.sampled_from([int((START + shift) * NANOSECONDS) for shift in (-50, 0, 5, 20)])
STATES = st.builds(
    JobState,
    id=st.sampled_from(["one", "two"]),
    status=st.sampled_from(STATUSES["import"]),
    error_code=st.none() | st.just("Broken"),
    created=TIMES,
    finished=TIMES,
    purge=TIMES,
)
STEPS = st.one_of(
    st.tuples(st.just("seen"), st.lists(STATES, max_size=3)),
    st.tuples(st.just("again"), st.integers(0, 3)),
    st.tuples(st.just("left"), st.sampled_from(["one", "two"])),
    st.tuples(st.just("clock"), st.sampled_from([-30.0, 1.0, 10.0])),
)
RUNNING = JobState(id="one", status="running", created=1, purge=int((START + 5) * NANOSECONDS))
ENDED = JobState(id="one", status="succeeded", created=1)
PURGED = JobState(id="one", status="succeeded", created=1, purge=int((START + 5) * NANOSECONDS))
OTHER = JobState(id="two", status="running", created=1)


@dataclass
class Side:
    """A ledger with all that it tells."""

    clock: Clock
    finished: list[FinishedJob] = field(default_factory=list)
    store: KeepingStore = field(default_factory=KeepingStore)

    def __post_init__(self) -> None:
        self.ledger = Ledger(Jobs(), clock=self.clock, on_finished=self.finished.append, store=self.store)

    def hear(self, shown: Shown) -> None:
        """As `seen`, each job the long way."""
        for state in shown.states:
            self.ledger._hear("import", state, SPAN, self.clock.now, self.clock.now)
        self.ledger.seen("import", Shown(()), SPAN)

    def told(self) -> object:
        """All that can be seen of it; what reads it lets purged jobs leave, so it is asked in one order."""
        stored = self.store.spaces, self.store.changes
        return (
            stored,
            self.ledger.snapshot(),
            [*map(msgspec.structs.asdict, self.ledger.jobs())],
            self.finished,
        )


@given(st.lists(STEPS, max_size=40))
@example([("seen", [RUNNING]), ("again", 0), ("again", 0), ("clock", 10.0), ("again", 0), ("again", 0)])
@example([("seen", [RUNNING]), ("again", 0), ("left", "one"), ("again", 0)])
@example([("seen", [RUNNING]), ("clock", 10.0), ("again", 0), ("clock", -30.0), ("again", 0), ("again", 0)])
@example([("seen", [RUNNING]), ("again", 1), ("clock", 5.0), ("again", 1)])
@example([("seen", [RUNNING]), ("again", 1), ("seen", [ENDED]), ("clock", 1.0), ("again", 1)])
@example([("seen", [RUNNING, OTHER]), ("again", 1), ("again", 1), ("left", "two"), ("again", 1)])
@example([("seen", [RUNNING, RUNNING]), ("again", 1), ("again", 1)])
@example([("seen", [OTHER]), ("seen", [PURGED]), ("again", 1), ("again", 1), ("clock", 10.0), ("again", 1)])
def test_the_short_way_leaves_what_the_long_way_leaves(steps: list[tuple[str, object]]) -> None:
    """Whatever answers come, jobs leave and clocks do: both ways end in the same records, told the same."""
    clock = Clock()
    short, long = Side(clock), Side(clock)
    before = [Shown([RUNNING])]
    for step, what in steps:
        if step == "clock":
            assert isinstance(what, float)
            clock.now += what
        elif step == "left":
            for side in (short, long):
                side.ledger.left("import", str(what), clock.now)
        else:
            if isinstance(what, list):
                before.append(Shown(what))
            shown = before[-1 if isinstance(what, list) else int(str(what)) % len(before)]
            if not short.ledger.seen_again("import", shown):
                short.ledger.seen("import", shown, SPAN, clock.now)
            long.hear(shown)
        assert short.store.spaces == long.store.spaces
        assert len(short.ledger) == len(long.ledger)
    assert short.told() == long.told()


@pytest.mark.parametrize("status", [status for status in STATUSES["import"] if status != UNKNOWN])
def test_a_poll_that_repeats_goes_the_short_way(status: str) -> None:
    """What jobs that go on or have ended say once all of it was known; each sighting is counted, and when."""
    side = Side(Clock())
    shown = Shown([JobState(id=name, status=status, created=1) for name in ("one", "two")])
    for _ in range(2):
        assert not side.ledger.seen_again("import", shown)
        side.ledger.seen("import", shown, SPAN)
    side.clock.now += 1
    assert side.ledger.seen_again("import", shown)
    for name in ("one", "two"):
        record = side.ledger.get("import", name)
        assert record is not None
        assert (record.sightings, record.last_seen) == (3, side.clock.now)
    assert side.ledger.snapshot().last_sync == side.clock.now


def test_a_page_that_repeats_is_counted_each_time() -> None:
    """Each time its jobs were seen now, its odd items are counted, and who follows jobs is told."""
    room, told = JobsRoom(), list[float | None]()
    room.observer.on_seen = lambda: told.append(room.ledger.snapshot().last_sync)
    for number in range(1, 5):
        room.clock.tick()
        room.page(job("a"), None, ended("b", 1))
        assert [(room.known(name).sightings, room.known(name).last_seen) for name in ("a", "b")] == [
            (number, room.clock.now)
        ] * 2
        assert room.observer.unreadable["not_a_job"] == number
        assert told[-1] == room.clock.now
    assert (len(told), len(room.finished)) == (4, 1)


def test_a_page_from_before_takes_nothing_back() -> None:
    """A page that comes again once a job of it has ended, or left, changes nothing of that job."""
    room = JobsRoom()
    for _ in range(3):
        room.page(job("a"), job("b"))
    room.answer("get", ended("a", 1))
    room.clock.tick()
    room.delete("b")
    room.clock.tick()
    for _ in range(3):
        room.page(job("a"), job("b"), asked=START)
    assert room.known("a").status == "succeeded"
    assert room.ledger.get("import", "b") is None
    assert len(room.finished) == 1


@dataclass
class Others:
    """What the other gateways of a fleet hear."""

    heard: list[list[str]] = field(default_factory=list)

    def changed(self, record: JobRecord) -> None:
        """Not asked here."""

    def seen(self, kind: str, job_ids: Sequence[str]) -> None:
        """Jobs of one kind, each time an answer showed them."""
        assert kind == "import"
        self.heard.append(list(job_ids))

    def ended(self, job: FinishedJob, *, heard: bool) -> None:
        """Not asked here."""


def test_other_gateways_hear_of_each_sighting() -> None:
    """Whoever follows jobs for the fleet knows each time that they were read."""
    others = Others()
    ledger = Ledger(Jobs(), clock=Clock(), on_finished=lambda _: None, store=KeepingStore(), shared=others)
    shown = Shown([RUNNING, OTHER])
    for number in range(1, 5):
        if not ledger.seen_again("import", shown):
            ledger.seen("import", shown, SPAN)
        assert others.heard == [["one", "two"]] * number
