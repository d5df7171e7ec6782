"""Requests per second at 32 connections; rounds interleave the candidates."""

import json
import statistics
from dataclasses import dataclass, field

from tests.bench import processes
from tests.bench.report import Figure
from tests.bench.rig import JOB, Gateway, Rig

CONNECTIONS = 32
_MILLI = 1_000
_MICRO = 1_000_000


@dataclass(slots=True)
class _Candidate:
    name: str
    port: int
    pid: int | None
    rates: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    failures: int = 0


def measure(rig: Rig, gateways: list[Gateway], rounds: int, seconds: float) -> list[Figure]:
    """`rounds` of `seconds` for each candidate; direct is the limit of load and upstream together."""
    candidates = [_Candidate("direct", rig.upstream, None)]
    candidates += [_Candidate(each.engine, each.data, each.pid) for each in gateways]
    for _ in range(rounds):
        for candidate in candidates:
            _round(rig, candidate, seconds)
    figures = [figure for each in candidates for figure in _figures(each)]
    figures += [
        Figure(f"RSS after that load, {each.engine}", processes.resident(each.pid), "MiB")
        for each in gateways
    ]
    return figures


def load(rig: Rig, port: int, seconds: float, connections: int = CONNECTIONS) -> dict[str, float]:
    """One run of the load process."""
    arguments = ("-m", "tests.bench.load", str(port), str(connections), str(seconds), JOB)
    printed = processes.output_of(*arguments, cores=rig.load_cores, within=seconds + 60)
    result: dict[str, float] = json.loads(printed)
    return result


def _round(rig: Rig, candidate: _Candidate, seconds: float) -> None:
    before = _cpu(candidate)
    result = load(rig, candidate.port, seconds)
    candidate.cpu.append((_cpu(candidate) - before) / max(1, result["requests"]) * _MICRO)
    candidate.rates.append(result["requests"] / result["seconds"])
    candidate.medians.append(result["p50"] * _MILLI)
    candidate.tails.append(result["p99"] * _MILLI)
    candidate.failures += int(result["failures"])


def _figures(candidate: _Candidate) -> list[Figure]:
    columns = [("requests/s", "", candidate.rates), ("ms", ", p50", candidate.medians)]
    columns.append(("ms", ", p99", candidate.tails))
    if candidate.pid is not None:
        columns.append(("µs", ", CPU a request", candidate.cpu))
    note = f"{candidate.failures} failed" if candidate.failures else ""
    return [
        Figure(
            f"{CONNECTIONS} connections{what}, {candidate.name}",
            statistics.median(samples),
            unit,
            samples=samples,
            note=note,
        )
        for unit, what, samples in columns
    ]


def _cpu(candidate: _Candidate) -> float:
    return 0.0 if candidate.pid is None else processes.cpu_seconds(candidate.pid)
