"""`python -m tests.bench [--quick] [--json FILE]` measures; `--profile` says where the time goes.

Exits 0 with the figures whatever they are: the table says which reach does not hold.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from tests.bench import duties, jobs, latency, ledger, processes, profiling, startup, throughput, transfer
from tests.bench.client import UnexpectedAnswerError
from tests.bench.report import Figure, Report
from tests.bench.rig import ENGINES, NotReadyError, Rig, open_rig


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: more gives figures that are closer from run to run."""

    starts: int = 5
    latency_rounds: int = 9
    latency_requests: int = 500
    load_rounds: int = 3
    load_seconds: float = 5.0
    large_body: int = 1 << 30
    polling_seconds: float = 60.0


QUICK = Effort(
    starts=2,
    latency_rounds=3,
    latency_requests=200,
    load_rounds=1,
    load_seconds=2.0,
    large_body=1 << 26,
    polling_seconds=20.0,
)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where the JSON goes; default bench-results/"
    )
    parser.add_argument("--profile", action="store_true", help="profile the request path instead")
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="the engine that is profiled")
    chosen = parser.parse_args()
    effort = QUICK if chosen.quick else Effort()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 130
    with open_rig() as rig:
        if chosen.profile:
            profiling.profile(rig, chosen.engine, effort.load_seconds, console)
            return
        report = _measure(rig, effort, console)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = chosen.json or processes.ROOT / "bench-results" / f"{stamp}.json"
    report.write(path)
    report.show(console)
    console.print(f"written to {path}")


def _measure(rig: Rig, effort: Effort, console: Console) -> Report:
    report = Report()
    steps: list[tuple[str, Callable[[], list[Figure]]]] = [
        ("start-up", partial(startup.measure, rig, effort.starts)),
        ("latency and throughput", partial(_under_load, rig, effort)),
    ]
    steps += [
        (f"large bodies, {engine}", partial(transfer.measure, rig, engine, effort.large_body))
        for engine in ENGINES
    ]
    steps += [
        ("many pollers", partial(jobs.measure, rig, effort.polling_seconds)),
        ("a full ledger", partial(ledger.measure, rig)),
    ]
    for name, step in steps:
        console.print(f"measuring {name} …")
        try:
            report.figures += step()
        except (OSError, EOFError, UnexpectedAnswerError, NotReadyError, transfer.CorruptBodyError) as error:
            report.faults.append(f"{name}: {type(error).__name__}: {error}")
    return report


def _under_load(rig: Rig, effort: Effort) -> list[Figure]:
    with ExitStack() as stack:
        gateways = [stack.enter_context(rig.gateway(engine)) for engine in ENGINES]
        before = duties.count(rig, gateways)
        figures = latency.measure(rig, gateways, effort.latency_rounds, effort.latency_requests)
        figures += throughput.measure(rig, gateways, effort.load_rounds, effort.load_seconds)
        return figures + duties.measure(before, duties.count(rig, gateways))


if __name__ == "__main__":
    main()
