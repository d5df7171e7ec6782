"""The rounds: each takes every candidate through every workload, candidates one right after the other."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.bench import duties, processes, workloads
from tests.bench.candidates.kind import Candidate, Kind
from tests.bench.client import UnexpectedAnswerError
from tests.bench.programs import MissingProgramError, missing
from tests.bench.rig import NotReadyError
from tests.bench.samples import Sample
from tests.bench.site import Site
from tests.bench.workloads import Workload
from tests.bench.wrk import Load, LoadError

NOT_MEASURED = (OSError, EOFError, UnexpectedAnswerError, NotReadyError, LoadError, MissingProgramError)
"""What may go wrong with a candidate without an end to the run."""
NOTHING = Load(0, 1.0, 0)
_LOOKS = 0.6
"""Seconds between two looks at the CPU time; longer than exporters wait, so that none comes after."""
_IDLE = 0.1
"""Share of a core at which a process counts as idle."""
_IDLE_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A candidate, and the kind that it is of."""

    kind: Kind
    candidate: Candidate


@contextmanager
def started(site: Site, kinds: Sequence[Kind], faults: list[str]) -> Iterator[list[Running]]:
    """All that can be started; why others cannot is added to `faults`."""
    with ExitStack() as stack:
        running = []
        for kind in kinds:
            if lacking := missing(kind.needs):
                faults.append(f"{kind.name}: {lacking}")
                continue
            try:
                running.append(Running(kind, stack.enter_context(kind.start(site))))
            except NOT_MEASURED as error:
                faults.append(f"{kind.name}: {type(error).__name__}: {error}")
        yield running


def steps(
    running: Sequence[Running], chosen: Sequence[Workload], rounds: int
) -> Iterator[tuple[int, Workload, Candidate]]:
    """What is measured, in order; the first round has number 1."""
    for number in range(1, rounds + 1):
        for workload in chosen:
            for each in running:
                if workload.takes(each.kind.part):
                    yield number, workload, each.candidate


def measure(site: Site, workload: Workload, candidate: Candidate, number: int, seconds: int) -> Sample:
    """One round of one workload through one candidate; what goes wrong disqualifies it."""
    before = duties.count(site, candidate)
    cpu = _cpu(candidate)
    try:
        load = workloads.run(workload, site, candidate, seconds)
        _wait_until_idle(candidate)
        undone = duties.judge(
            site, candidate, before, load, connections=workload.connections, refused=workload.refused
        )
    except NOT_MEASURED as error:
        return Sample(
            candidate.name, workload.name, number, NOTHING, undone=(f"{type(error).__name__}: {error}",)
        )
    # After the duties: exporting is a part of a request's price, though it comes later.
    used = None if candidate.pid is None else _cpu(candidate) - cpu
    return Sample(candidate.name, workload.name, number, load, used, undone)


def _wait_until_idle(candidate: Candidate) -> None:
    """What it still does, for callers that are gone or to export, is its own price and not the next one's."""
    if candidate.pid is None:
        return
    deadline = time.perf_counter() + _IDLE_WITHIN
    used = math.inf
    while used > _IDLE * _LOOKS and time.perf_counter() < deadline:
        before = _cpu(candidate)
        time.sleep(_LOOKS)
        used = _cpu(candidate) - before


def _cpu(candidate: Candidate) -> float:
    return 0.0 if candidate.pid is None else processes.cpu_seconds(candidate.pid)
