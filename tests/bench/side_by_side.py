"""The run that sets the gateway beside its peers: rounds, then what a process costs by itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from tests.bench import footprint, reach
from tests.bench.candidates.kind import Kind
from tests.bench.candidates.kinds import KINDS
from tests.bench.report import Figure, Report, number
from tests.bench.rig import Rig
from tests.bench.rounds import NOT_MEASURED, measure, started, steps
from tests.bench.samples import Sample, Samples
from tests.bench.site import Site, open_site
from tests.bench.workloads import WORKLOADS, Workload

_IDLE = (*reach.OWN, "envoy", "traefik", "caddy", "plain")
"""Kinds whose memory per idle connection is looked at."""
_WARM_UP = 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: more gives figures that are closer from run to run."""

    rounds: int = 3
    seconds: int | None = None
    """Of each load; unset: as the workload says."""
    starts: int = 5
    requests: int = 100_000
    """After which the memory is looked at."""


QUICK = Effort(rounds=1, seconds=1, starts=2, requests=2_000)
FULL = Effort(rounds=5, requests=1_000_000)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is measured."""

    kinds: Sequence[Kind] = KINDS
    workloads: Sequence[Workload] = WORKLOADS

    @property
    def processes(self) -> bool:
        """Whether what a process costs by itself is measured too."""
        return len(self.workloads) == len(WORKLOADS)


def run(rig: Rig, effort: Effort, choice: Choice, console: Console) -> Report:
    """Measure; what cannot be measured is told in the report. Raises NotReadyError."""
    report = Report()
    with open_site(rig) as site:
        _rounds(site, effort, choice, report, console)
        report.figures += reach.figures(report.samples)
        report.figures += _noise(report.samples)
        if choice.processes:
            _footprint(site, effort, choice.kinds, report, console)
    return report


def _rounds(site: Site, effort: Effort, choice: Choice, report: Report, console: Console) -> None:
    with started(site, choice.kinds, report.faults) as running:
        for each in running:
            first = next(workload for workload in WORKLOADS if workload.takes(each.kind.part))
            measure(site, first, each.candidate, 0, _WARM_UP)
        began = time.perf_counter()
        shown = ""
        for number_of_round, workload, candidate in steps(running, choice.workloads, effort.rounds):
            if shown != workload.name:
                shown = workload.name
                passed = time.perf_counter() - began
                console.print(f"round {number_of_round} of {effort.rounds}, {shown}, after {passed:.0f} s")
            seconds = effort.seconds or workload.seconds
            sample = measure(site, workload, candidate, number_of_round, seconds)
            report.samples.every.append(sample)
            console.print(_line(sample), style="red" if sample.undone else "dim", markup=False)


def _footprint(site: Site, effort: Effort, kinds: Sequence[Kind], report: Report, console: Console) -> None:
    console.print("measuring start, memory …")
    try:
        for kind in kinds:
            if kind.name in reach.OWN:
                report.figures.append(footprint.ready(site.rig, reach.OWN[kind.name], effort.starts))
                report.figures += footprint.memory(site, kind, effort.requests)
            if kind.name in _IDLE:
                report.figures.append(footprint.idle_connection(site, kind))
    except NOT_MEASURED as error:
        report.faults.append(f"start and memory: {type(error).__name__}: {error}")


def _noise(samples: Samples) -> list[Figure]:
    """How much the machine changed from round to round, by what has no candidate in it."""
    rates = samples.values("job-32", "direct", lambda each: each.rate)
    if not rates:
        return []
    return [Figure("direct path, fastest round over slowest", max(rates) / min(rates), "x", samples=rates)]


def _line(sample: Sample) -> str:
    if sample.undone:
        return f"  {sample.candidate}: disqualified: {'; '.join(sample.undone)}"
    if not sample.p50:
        return f"  {sample.candidate}: {number(sample.received / (1 << 20))} MiB/s"
    return f"  {sample.candidate}: {number(sample.rate)}/s, p50 {sample.p50 * 1000:.3f} ms"
