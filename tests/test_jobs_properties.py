"""Random interleavings of polls, lists, duplicates, overtaken answers, deletions and ids used again.

A small service runs jobs; its answers wait in flight and are delivered in any order, some twice. An oracle
that knows only the rules, and nothing of how the ledger keeps them, says what the ledger must show.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.jobs.ledger import MAX_DEPARTED
from gateway.jobs.model import PROGRESS, STATUSES, TERMINAL
from tests.support.job_answers import START, JobsRoom, at, job

Name = tuple[str, str]
Identity = tuple[str, str, float]
NAMES: tuple[Name, ...] = (("import", "a"), ("import", "b"), ("deletion", "a"), ("deletion", "ж/1"))
STEPS = ("start", "start here", "advance", "advance", "poll", "list", "delete", "deliver", "deliver", "again")
ENDS = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class ServiceJob:
    """A job as the service has it; times in seconds after the gateway's start."""

    kind: str
    id: str
    created: float
    status: str = "notstarted"
    finished: float | None = None

    @property
    def identity(self) -> Identity:
        return (self.kind, self.id, self.created)

    def wire(self) -> dict[str, object]:
        """The job as an answer has it."""
        finished = {} if self.finished is None else {"finishedDateTime": at(self.finished)}
        return job(self.id, self.status, createdDateTime=at(self.created), **finished)


@dataclass(frozen=True)
class Answer:
    """An answer in flight: `asked` in seconds after the start."""

    operation: str
    name: Name
    asked: float
    jobs: tuple[ServiceJob, ...] = ()


@dataclass
class Service:
    """Runs jobs one step at a time, and answers."""

    now: float = 0.0
    jobs: dict[Name, ServiceJob] = field(default_factory=dict)
    flight: list[Answer] = field(default_factory=list)

    def step(self, step: str, name: Name, choice: int) -> Answer | None:
        """Do one step; the answer that arrives at the gateway with it, if any."""
        self.now += 1
        if step == "deliver" and self.flight:
            return self.flight.pop(choice % len(self.flight))
        if step == "again" and self.flight:
            return self.flight[choice % len(self.flight)]
        self._work(step, name, choice)
        return None

    def _work(self, step: str, name: Name, choice: int) -> None:
        kind = name[0]
        known = self.jobs.get(name)
        if step.startswith("start") and known is None:
            self.jobs[name] = ServiceJob(*name, created=self.now)
            if step == "start here":
                self._send("add", name, self.jobs[name])
        elif step == "advance" and known is not None:
            self.jobs[name] = self._advanced(known, choice)
        elif step == "poll":
            self._send("get", name, *([known] if known else []))
        elif step == "list":
            self._send("list", name, *[each for (of, _), each in self.jobs.items() if of == kind])
        elif step == "delete" and kind == "import" and known is not None:
            del self.jobs[name]
            self._send("delete", name)

    def _advanced(self, known: ServiceJob, choice: int) -> ServiceJob:
        if known.status in TERMINAL:
            return known
        if known.status == "notstarted":
            return replace(known, status="running")
        ends = ENDS if known.kind == "import" else ENDS[:2]
        return replace(known, status=ends[choice % len(ends)], finished=self.now)

    def _send(self, operation: str, name: Name, *jobs: ServiceJob) -> None:
        self.flight.append(Answer(operation, name, self.now, jobs))


@dataclass
class Oracle:
    """The rules in sets: what was seen unfinished, created here, ended, and told."""

    shown: dict[Name, ServiceJob] = field(default_factory=dict)
    gone: dict[Name, tuple[ServiceJob, float]] = field(default_factory=dict)
    first_seen: dict[Identity, float] = field(default_factory=dict)
    entitled: set[Identity] = field(default_factory=set)
    told: set[Identity] = field(default_factory=set)

    def hear(self, answer: Answer, now: float) -> None:
        """Take in what an answer says."""
        if answer.operation == "delete" or (answer.operation == "get" and not answer.jobs):
            known = self.shown.get(answer.name)
            if known is not None and answer.asked >= self.first_seen[known.identity]:
                self.gone[answer.name] = (self.shown.pop(answer.name), now)
        for each in answer.jobs:
            self._hear_of(each, answer, now)

    def _hear_of(self, told: ServiceJob, answer: Answer, now: float) -> None:
        name = (told.kind, told.id)
        ghost, left_at = self.gone.get(name, (None, 0.0))
        known = self.shown.get(name, ghost)
        if known is not None and told.created < known.created:
            return
        if ghost is not None and told.created == ghost.created and answer.asked <= left_at:
            return
        self.gone.pop(name, None)
        self.first_seen.setdefault(told.identity, now)
        if known is None or told.created > known.created or is_progress(known, told):
            self.shown[name] = told
        else:
            self.shown[name] = known
        self._settle(self.shown[name], here=answer.operation == "add")

    def _settle(self, job: ServiceJob, *, here: bool) -> None:
        if here or job.status not in TERMINAL or (job.finished or 0) > 0:
            self.entitled.add(job.identity)
        if job.status in TERMINAL and job.identity in self.entitled:
            self.told.add(job.identity)


def is_progress(known: ServiceJob, told: ServiceJob) -> bool:
    """Whether the told status is further than the known one."""
    return PROGRESS[told.status] > PROGRESS[known.status]


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


def play(room: JobsRoom, history: dict[Name, int], script: Script) -> Iterator[tuple[Service, Oracle]]:
    """Run the script against a room, with jobs that ended before the gateway started."""
    service, oracle = Service(), Oracle()
    for (kind, job_id), end in history.items():
        past = ServiceJob(kind, job_id, end - 60.0, "succeeded", float(end))
        service.jobs[kind, job_id] = past
    for step, name, choice in script:
        answer = service.step(step, name, choice)
        room.clock.now = START + service.now
        if answer is not None:
            oracle.hear(answer, service.now)
            deliver(room, answer)
        yield service, oracle


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


@settings(max_examples=200, deadline=None)
@given(HISTORY, SCRIPT)
def test_any_interleaving(history: dict[Name, int], script: Script) -> None:
    """Finishes told equal the distinct finished jobs of the rules, and the gauges equal the ledger."""
    room = JobsRoom()
    for _service, oracle in play(room, history, script):
        told = Counter((kind, job_id) for kind, job_id, _ in oracle.told)
        assert Counter((finish.kind, finish.id) for finish in room.finished) == told
        shown = {(record.kind, record.id): record.status for record in room.ledger.jobs()}
        assert shown == {name: known.status for name, known in oracle.shown.items()}
        check_gauges(room)
    assert all(finish.duration is not None and finish.duration >= 0 for finish in room.finished)


@settings(max_examples=100, deadline=None)
@given(HISTORY, SCRIPT)
def test_any_interleaving_in_a_small_ledger(history: dict[Name, int], script: Script) -> None:
    """A ledger that is too small stays within its bound, and still tells no finish twice."""
    room = JobsRoom(max_tracked=2)
    for _service, oracle in play(room, history, script):
        assert len(room.ledger) <= 2
        told = Counter((kind, job_id) for kind, job_id, _ in oracle.told)
        assert Counter((finish.kind, finish.id) for finish in room.finished) <= told
        check_gauges(room)


def test_memory_is_bounded() -> None:
    """However many jobs pass, what is kept of them is bounded by configuration."""
    room = JobsRoom(max_tracked=7)
    for number in range(0, MAX_DEPARTED + 200, 100):
        room.clock.tick()
        room.page(*[job(str(number + item), ENDS[item % 3]) for item in range(100)])
    assert len(room.ledger) == 7
    assert len(room.ledger._departed) == MAX_DEPARTED
