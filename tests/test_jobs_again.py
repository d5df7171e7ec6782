"""A poll that says what is known costs little and changes nothing that it would not have changed before."""

import contextlib
import json
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config import Jobs
from gateway.jobs import FinishedJob, Ledger, SpanContext
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import STATUSES, UNKNOWN, JobState, Reason
from gateway.jobs.shown import Shown
from gateway.jobs.wire import MAX_ITEMS, MAX_KEPT, MAX_KEPT_BODY, JobReader, Unreadable, read_job, read_page
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
    st.tuples(st.just("seen"), st.lists(STATES, max_size=3)),
    st.tuples(st.just("again"), st.integers(0, 3)),
    st.tuples(st.just("left"), st.sampled_from(["one", "two"])),
    st.tuples(st.just("clock"), st.sampled_from([-30.0, 1.0, 10.0])),
)
RUNNING = JobState(id="one", status="running", created=1, purge=int((START + 5) * NANOSECONDS))
ENDED = JobState(id="one", status="succeeded", created=1)
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
@example([("seen", [RUNNING]), ("again", 0), ("seen", [ENDED]), ("again", 0), ("again", 1), ("again", 1)])
@example([("seen", [RUNNING, OTHER]), ("again", 0), ("again", 0), ("seen", [ENDED]), ("again", 0)])
@example([("seen", [RUNNING, RUNNING]), ("again", 0), ("again", 0)])
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


BODIES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["one", "two", "", 7]),
        "status": st.sampled_from(["running", "Succeeded", "new", None]),
        "purgeDateTime": st.sampled_from(["2027-01-01T00:00:00Z", "never"]),
    },
).map(lambda fields: json.dumps(fields).encode())


PAGES = st.lists(BODIES | st.sampled_from([b"0", b"null", b"[]", b'{"id":"\\ud800"}']), max_size=4).map(
    lambda items: b'{"value":[%b]}' % b",".join(items)
) | st.sampled_from([b"", b"{}", b'{"id":"one","value":[]}', b'{"id":"one","value":[{"id":"two"}]}'])


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
    for kind, body, path_id in reads * 2:
        told: list[object] = []
        for way in (lambda *read: reader.read(*read).states[0], read_job):
            try:
                told.append(way(kind, body, path_id))
            except Unreadable as error:
                told.append(error.reason)
        assert told[0] == told[1]


@given(st.lists(st.tuples(st.sampled_from(["import", "deletion"]), PAGES), max_size=30))
def test_a_page_that_was_read_before_is_read_the_same(reads: list[tuple[str, bytes]]) -> None:
    """A page shows the same jobs the second time, and as many items that show none."""
    reader = JobReader()
    for kind, body in reads * 2:
        with contextlib.suppress(Unreadable):
            reader.read(kind, body, "one")
        told: list[object] = []
        for way in (reader.read_list, each_read):
            try:
                shown = way(kind, body)
                told.append((shown.states, shown.unreadable))
            except Unreadable as error:
                told.append(error.reason)
        assert told[0] == told[1]


def each_read(kind: str, body: bytes) -> Shown:
    """Each item of a page, read by itself."""
    states, odd = [], list[Reason]()
    for item in read_page(body):
        try:
            states.append(read_job(kind, item))
        except Unreadable as error:
            odd.append(error.reason)
    return Shown(states, odd)


def test_few_bodies_are_kept_and_none_of_their_secrets() -> None:
    """Neither many bodies nor large ones fill the memory; of a body only what it says of the job stays."""
    reader = JobReader()
    for number in range(MAX_KEPT + 2):
        body = b'{"id":"%d","status":"running","inputBlobUri":"https://x/?sig=canary"}' % number
        assert reader.read("import", body).states[0].id == str(number)
        assert kept(reader) <= MAX_KEPT
    assert "canary" not in repr([(key, shown.states) for key, shown in reader._said.items()])
    before = dict(reader._said)
    reader.read("import", b'{"id":"large"}' + b" " * MAX_KEPT_BODY)
    reader.read("import", b'{"id":"far"}', "x" * 1_000)
    assert reader._said == before


def test_few_pages_are_kept() -> None:
    """Pages are kept by the jobs and odd items they have, beside single jobs, and one more makes room."""
    reader = JobReader()
    item = b'{"id":"a"}'
    for number in range(MAX_KEPT // MAX_ITEMS + 3):
        for items in ([item] * MAX_ITEMS, [b"0"] * MAX_ITEMS, []):
            body = b'{"value":[%b]%b}' % (b",".join(items), b" " * number)
            assert len(reader.read_list("import", body).states) == items.count(item)
            assert len(reader._said) > 0
            assert kept(reader) <= MAX_KEPT


def kept(reader: JobReader) -> int:
    """Bodies, jobs and odd items that the reader keeps."""
    return sum(1 + len(shown.states) + len(shown.unreadable) for shown in reader._said.values())
