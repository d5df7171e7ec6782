"""`python -m tests.stress [ROW ...]` puts the gateway under load and faults, and says which rows hold.

Exits 0 when every row that was run holds, 1 when one does not, 2 for bad usage.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import uvloop
from rich.console import Console

from tests.bench import processes
from tests.bench.client import UnexpectedAnswerError
from tests.stress.gateway import NotReadyError
from tests.stress.progress import Display, clock
from tests.stress.report import Finished, Report
from tests.stress.row import Outcome, Row
from tests.stress.rows import ROWS
from tests.stress.stage import Stage, settle_down

_SOAK = 30.0
_QUICK_SOAK = 0.5
_GIVEN_UP = 3.0
"""Times what a row takes, and ten minutes: it is given up then."""


def main() -> int:
    """Read the command line and run; the exit status."""
    chosen = _arguments()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 150
    if chosen.list:
        for row in ROWS:
            console.print(f"{row.name:12} {clock(row.seconds):>6}  {row.load}", markup=False)
        return 0
    rows = [row for row in ROWS if row.name in chosen.rows] if chosen.rows else list(ROWS)
    report = uvloop.run(_run(rows, quick=chosen.quick, minutes=chosen.minutes))
    report.write(chosen.json)
    report.show(console)
    console.print(f"written to {chosen.json}")
    if chosen.readme:
        console.print(report.markdown(), markup=False, soft_wrap=True)
    return 0 if report.holds else 1


def _arguments() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(names)}; default all")
    parser.add_argument("--list", action="store_true", help="only say which rows there are")
    parser.add_argument("--quick", action="store_true", help="a little of each; times do not decide")
    parser.add_argument("--minutes", type=float, help=f"of the soak; default {_SOAK:g}")
    parser.add_argument("--readme", action="store_true", help="also print the table as Markdown")
    path = processes.ROOT / "bench-results" / "stress.json"
    parser.add_argument("--json", type=Path, default=path, metavar="FILE", help="where the JSON goes")
    chosen = parser.parse_args()
    if unknown := set(chosen.rows) - set(names):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if chosen.minutes is None:
        chosen.minutes = _QUICK_SOAK if chosen.quick else _SOAK
    return chosen


async def _run(rows: list[Row], *, quick: bool, minutes: float) -> Report:
    report = Report(quick)
    gateway_cores, load_cores = settle_down()
    seconds = {row.name: row.quick_seconds if quick else row.seconds for row in rows}
    if not quick and "soak" in seconds:
        seconds["soak"] += (minutes - _SOAK) * 60
    with (
        tempfile.TemporaryDirectory(prefix="adt-gateway-stress-") as folder,
        Display(sum(seconds.values()), len(rows)) as display,
    ):
        for number, row in enumerate(rows, start=1):
            display.begin(number, row.name, seconds[row.name])
            stage = Stage(quick, Path(folder), display.say, minutes, gateway_cores, load_cores, [])
            finished = await _one(row, stage, _GIVEN_UP * seconds[row.name] + 600)
            report.rows.append(finished)
            display.end("holds" if finished.holds(quick=quick) else "does not hold")
    return report


async def _one(row: Row, stage: Stage, within: float) -> Finished:
    began, outcome, broken = time.perf_counter(), Outcome(), ""
    try:
        async with asyncio.timeout(within):
            outcome = await row.run(stage)
    except (OSError, EOFError, TimeoutError, ValueError, UnexpectedAnswerError, NotReadyError) as error:
        broken = f"{type(error).__name__}: {error}"
    return Finished(row, outcome, time.perf_counter() - began, broken, stage.faults)


if __name__ == "__main__":
    raise SystemExit(main())
