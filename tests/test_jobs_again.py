"""A poll that says what is known costs little and changes nothing that it would not have changed before."""

import json
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config import Jobs
from gateway.jobs import FinishedJob, Ledger, SpanContext
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import STATUSES, UNKNOWN, JobState
from gateway.jobs.wire import MAX_KEPT, MAX_KEPT_BODY, JobReader, Unreadable, read_job
from tests.support.job_answers import START, Clock
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
    st.tuples(st.just("seen"), STATES),
    st.tuples(st.just("again"), st.none()),
    st.tuples(st.just("left"), st.sampled_from(["one", "two"])),
    st.tuples(st.just("clock"), st.sampled_from([-30.0, 1.0, 10.0])),
)
RUNNING = JobState(id="one", status="running", created=1, purge=int((START + 5) * NANOSECONDS))


@dataclass
class Side:
    """A ledger with all that it tells."""

    clock: Clock
    finished: list[FinishedJob] = field(default_factory=list)
    store: KeepingStore = field(default_factory=KeepingStore)

    def __post_init__(self) -> None:
        self.ledger = Ledger(Jobs(), clock=self.clock, on_finished=self.finished.append, store=self.store)

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
@example([("seen", RUNNING), ("again", None), ("clock", 10.0), ("again", None), ("again", None)])
@example([("seen", RUNNING), ("left", "one"), ("again", None)])
@example([("seen", RUNNING), ("clock", 10.0), ("again", None), ("clock", -30.0), ("again", None)])
def test_the_short_way_leaves_what_the_long_way_leaves(steps: list[tuple[str, object]]) -> None:
    """Whatever answers come, jobs leave and clocks do: both ways end in the same records, told the same."""
    clock = Clock()
    short, long = Side(clock), Side(clock)
    last = RUNNING
    for step, what in steps:
        if isinstance(what, JobState):
            last = what
        if step == "clock":
            assert isinstance(what, float)
            clock.now += what
        elif step == "left":
            for side in (short, long):
                side.ledger.left("import", str(what), clock.now)
        else:
            if not short.ledger.seen_again("import", last):
                short.ledger.seen("import", (last,), SPAN, clock.now)
            long.ledger.seen("import", (last,), SPAN, clock.now)
        assert short.store.spaces == long.store.spaces
        assert len(short.ledger) == len(long.ledger)
    assert short.told() == long.told()


@pytest.mark.parametrize("status", [status for status in STATUSES["import"] if status != UNKNOWN])
def test_a_poll_that_repeats_goes_the_short_way(status: str) -> None:
    """What a job that goes on or has ended says a second time is all known; the sighting is counted."""
    side = Side(Clock())
    state = JobState(id="one", status=status, created=1)
    assert not side.ledger.seen_again("import", state)
    side.ledger.seen("import", (state,), SPAN)
    side.clock.now += 1
    assert side.ledger.seen_again("import", state)
    record = side.ledger.get("import", "one")
    assert record is not None
    assert (record.sightings, record.last_seen) == (2, side.clock.now)


BODIES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["one", "two", "", 7]),
        "status": st.sampled_from(["running", "Succeeded", "new", None]),
        "purgeDateTime": st.sampled_from(["2027-01-01T00:00:00Z", "never"]),
    },
).map(lambda fields: json.dumps(fields).encode())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["import", "deletion"]),
            BODIES | st.sampled_from([b"", b"[]", b"{"]),
            st.sampled_from([None, "one", "x" * 600]),
        ),
        max_size=30,
    )
)
def test_what_was_read_before_is_read_the_same(reads: list[tuple[str, bytes, str | None]]) -> None:
    """A body says the same the second time, for each kind and each id of the path, and fails the same."""
    reader = JobReader()
    for read in reads * 2:
        told: list[JobState | str] = []
        for way in (reader.read, read_job):
            try:
                told.append(way(*read))
            except Unreadable as error:
                told.append(error.reason)
        assert told[0] == told[1]


def test_few_bodies_are_kept_and_none_of_their_secrets() -> None:
    """Neither many bodies nor large ones fill the memory; of a body only what it says of the job stays."""
    reader = JobReader()
    for number in range(MAX_KEPT + 2):
        body = b'{"id":"%d","status":"running","inputBlobUri":"https://x/?sig=canary"}' % number
        assert reader.read("import", body).id == str(number)
        assert len(reader._said) <= MAX_KEPT
    assert "canary" not in repr(reader._said)
    before = dict(reader._said)
    reader.read("import", b'{"id":"large"}' + b" " * MAX_KEPT_BODY)
    reader.read("import", b'{"id":"far"}', "x" * 1_000)
    assert reader._said == before
