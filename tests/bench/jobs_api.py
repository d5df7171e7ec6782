"""The figures of the Jobs API: many pollers within its limit, and a full ledger."""

from collections.abc import Callable
from functools import partial

from rich.console import Console

from tests.bench import jobs, ledger
from tests.bench.client import UnexpectedAnswerError
from tests.bench.report import Figure, Report
from tests.bench.rig import NotReadyError, Rig

SECONDS = 60.0
QUICK_SECONDS = 20.0


def run(rig: Rig, seconds: float, console: Console) -> Report:
    """Apps poll for `seconds` each time; what cannot be measured is told in the report."""
    report = Report()
    steps: list[tuple[str, Callable[[], list[Figure]]]] = [
        ("many pollers", partial(jobs.measure, rig, seconds)),
        ("a full ledger", partial(ledger.measure, rig)),
    ]
    for name, step in steps:
        console.print(f"measuring {name} …")
        try:
            report.figures += step()
        except (OSError, EOFError, UnexpectedAnswerError, NotReadyError) as error:
            report.faults.append(f"{name}: {type(error).__name__}: {error}")
    return report
