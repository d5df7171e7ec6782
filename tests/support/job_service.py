"""A service that runs jobs and answers in any order, and the rules for what the ledger must make of that.

The rules know nothing of how the ledger keeps them: not of records, stores or indexes.
"""

from dataclasses import dataclass, field, replace

from gateway.jobs.model import PROGRESS, TERMINAL
from tests.support.job_answers import at, job

Name = tuple[str, str]
Identity = tuple[str, str, float]
NAMES: tuple[Name, ...] = (
    *(("import", "a"), ("import", "a"), ("import", "a")),  # most of what goes wrong takes one job
    *(("import", "b"), ("deletion", "a"), ("deletion", "ж/1")),
)
STEPS = (
    *("start", "start here", "advance", "advance", "poll", "poll", "list", "delete", "miss"),
    *("deliver", "deliver", "again", "set clock", "restart"),
)
CLOCK_STEPS = (-90_000, -3_600, -3, 3, 3_600, 90_000)
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
    """An answer in flight: `asked` by the gateway's clock, in seconds after the first start."""

    operation: str
    name: Name
    asked: float
    jobs: tuple[ServiceJob, ...] = ()


@dataclass
class Service:
    """Runs jobs one step at a time, and answers.

    `now` is its own clock, and `wall` what the gateway's shows, in seconds after the gateway's first start.
    """

    now: float = 0.0
    ahead: float = 0.0
    """The gateway's clock is ahead of its own by so much."""
    jobs: dict[Name, ServiceJob] = field(default_factory=dict)
    flight: list[Answer] = field(default_factory=list)

    @property
    def wall(self) -> float:
        return self.now + self.ahead

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
        elif step == "miss":  # the service says that it does not know a job that is there
            self._send("get", name)
        elif step == "list":
            self._send("list", name, *[each for (of, _), each in self.jobs.items() if of == kind])
        elif step == "set clock":
            self.ahead += CLOCK_STEPS[choice % len(CLOCK_STEPS)]
        elif step == "restart":
            self.flight.clear()  # no answer outlives the gateway that asked
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
        self.flight.append(Answer(operation, name, self.wall, jobs))


@dataclass
class Oracle:
    """The rules in sets: what was seen unfinished, created here, ended, and told, over all restarts.

    Times are those of the gateway's clock.
    """

    shown: dict[Name, ServiceJob] = field(default_factory=dict)
    gone: dict[Name, tuple[ServiceJob, float]] = field(default_factory=dict)
    denied: dict[Name, float] = field(default_factory=dict)
    """When the service last said of a job that is gone that there is none."""
    first_seen: dict[Identity, float] = field(default_factory=dict)
    entitled: set[Identity] = field(default_factory=set)
    judged: set[Identity] = field(default_factory=set)
    told: set[Identity] = field(default_factory=set)
    started: float = 0.0

    def restart(self, now: float) -> None:
        """Another gateway, which hears no answer that was asked for before."""
        self.started = now
        self.denied.clear()

    def hear(self, answer: Answer, now: float) -> None:
        """Take in what an answer says."""
        if answer.operation == "delete" or (answer.operation == "get" and not answer.jobs):
            self._hear_of_none(answer, now)
        for each in answer.jobs:
            self._hear_of(each, answer, now)

    def _hear_of_none(self, answer: Answer, now: float) -> None:
        name = answer.name
        ghost, _ = self.gone.get(name, (None, 0.0))
        known = self.shown.get(name, ghost)
        if known is None or answer.asked < self.first_seen[known.identity] <= now:
            return
        if self.shown.pop(name, None) is None:
            self.denied[name] = now
        else:
            self.gone[name] = (known, now)

    def _hear_of(self, told: ServiceJob, answer: Answer, now: float) -> None:
        name = (told.kind, told.id)
        ghost, left_at = self.gone.get(name, (None, 0.0))
        left_at = self.denied.get(name, left_at)
        known = self.shown.get(name, ghost)
        if known is not None and told.created < known.created:
            return
        if ghost is not None and told.created == ghost.created and answer.asked <= left_at <= now:
            return
        self.gone.pop(name, None)
        self.denied.pop(name, None)
        self.first_seen.setdefault(told.identity, now)
        if known is None or told.created > known.created or is_progress(known, told):
            self.shown[name] = told
        else:
            self.shown[name] = known
        self._settle(self.shown[name], here=answer.operation == "add")

    def _settle(self, job: ServiceJob, *, here: bool) -> None:
        """A job that is first seen when it is over is judged then, by the clock of then."""
        is_news = job.identity not in self.judged and (job.finished or 0) > self.started
        if here or is_news or job.status not in TERMINAL:
            self.entitled.add(job.identity)
        if job.status in TERMINAL:
            self.judged.add(job.identity)
            if job.identity in self.entitled:
                self.told.add(job.identity)


def is_progress(known: ServiceJob, told: ServiceJob) -> bool:
    """Whether the told status is further than the known one."""
    return PROGRESS[told.status] > PROGRESS[known.status]
