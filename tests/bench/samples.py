"""What was measured side by side, and its ratios round by round."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.wrk import Load


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one workload through one candidate."""

    candidate: str
    workload: str
    round: int
    load: Load
    cpu: float | None = None
    """CPU seconds of the candidate for the whole load."""
    undone: Sequence[str] = ()
    """Why it is disqualified; empty where it is not."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.load.requests / self.load.seconds

    @property
    def received(self) -> float:
        """Bytes of bodies per second."""
        return self.load.received / self.load.seconds

    @property
    def p50(self) -> float:
        """Median latency in seconds."""
        return self.load.p50

    @property
    def cpu_per_request(self) -> float:
        """Seconds; 0 where there is no process to look at."""
        return (self.cpu or 0.0) / max(1, self.load.requests)


Read = Callable[[Sample], float]


@dataclass(slots=True)
class Samples:
    """All of a run."""

    every: list[Sample] = field(default_factory=list)

    def of(self, workload: str, candidate: str) -> dict[int, Sample]:
        """Those that count, by round."""
        return {
            each.round: each
            for each in self.every
            if (each.workload, each.candidate) == (workload, candidate) and not each.undone
        }

    def values(self, workload: str, candidate: str, read: Read) -> list[float]:
        """One value for each round that counts."""
        return [read(each) for each in self.of(workload, candidate).values()]

    def ratios(self, workload: str, top: str, bottom: str, read: Read) -> list[float]:
        """Top over bottom for each round in which both count: drift of the machine hits both alike."""
        above, below = self.of(workload, top), self.of(workload, bottom)
        return [read(above[number]) / read(below[number]) for number in sorted(above.keys() & below.keys())]

    def added(self, workload: str, top: str, bottom: str, base: str, read: Read) -> list[float]:
        """What top adds to base over what bottom adds to it, for each round in which all three count."""
        rounds = [self.of(workload, name) for name in (top, bottom, base)]
        shared = sorted(set.intersection(*(set(each) for each in rounds)))
        found = []
        for number in shared:
            one, other, without = (read(each[number]) for each in rounds)
            if other > without:
                found.append((one - without) / (other - without))
        return found

    def across(self, candidate: str, top: str, bottom: str, read: Read) -> list[float]:
        """One candidate's workload over another, round by round."""
        above, below = self.of(top, candidate), self.of(bottom, candidate)
        return [read(above[number]) / read(below[number]) for number in sorted(above.keys() & below.keys())]

    def disqualified(self) -> list[str]:
        """In words, what was and why."""
        return [
            f"{each.candidate}, {each.workload}, round {each.round}: {'; '.join(each.undone)}"
            for each in self.every
            if each.undone
        ]


def median(values: Sequence[float]) -> float | None:
    """The median; None without values."""
    return statistics.median(values) if values else None
