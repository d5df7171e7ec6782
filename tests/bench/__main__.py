"""`python -m tests.bench` sets the gateway beside its peers; `--jobs` measures the Jobs API.

Exits 0 with the figures whatever they are: the table says which must does not hold. A candidate that is not
installed is left out, and how to install it is told.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.bench import comparison, jobs_api, processes, profiling, side_by_side
from tests.bench.candidates.kinds import KINDS
from tests.bench.plot import plot
from tests.bench.programs import missing
from tests.bench.rig import ENGINES, open_rig
from tests.bench.side_by_side import Choice
from tests.bench.workloads import WORKLOADS

PICTURE = processes.ROOT / "docs" / "pictures" / "speed.svg"
_PROFILED_SECONDS = 5.0


def main() -> None:
    """Read the command line and run."""
    chosen = _parser().parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    with open_rig() as rig:
        if chosen.profile:
            seconds = 2.0 if chosen.quick else _PROFILED_SECONDS
            profiling.profile(rig, chosen.engine, seconds, console)
            return
        if chosen.jobs:
            seconds = jobs_api.QUICK_SECONDS if chosen.quick else jobs_api.SECONDS
            report = jobs_api.run(rig, seconds, console)
        else:
            effort = side_by_side.QUICK if chosen.quick else side_by_side.Effort()
            effort = side_by_side.FULL if chosen.full else effort
            if lacking := missing(("wrk", "nginx")):
                sys.exit(f"nothing can be set side by side: {lacking}")
            report = side_by_side.run(rig, effort, _choice(chosen), console)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path: Path = chosen.json or processes.ROOT / "bench-results" / f"{stamp}.json"
    report.write(path)
    if report.samples.every:
        comparison.show(report, console)
        picture = PICTURE if chosen.readme else path.with_suffix(".svg")
        picture.write_text(plot(report))
        console.print(f"drawn to {picture}")
    report.show(console)
    console.print(f"written to {path}")
    if chosen.readme:
        sys.stdout.write(comparison.markdown(report) + "\n")


def _parser() -> argparse.ArgumentParser:
    names = [kind.name for kind in KINDS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", action="store_true", help="one short round, for a first look")
    effort.add_argument(
        "--full", action="store_true", help="five rounds, and memory after 1,000,000 requests"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--jobs", action="store_true", help="measure the Jobs API instead")
    what.add_argument("--profile", action="store_true", help="profile the request path instead")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    loads = [each.name for each in WORKLOADS]
    parser.add_argument(
        "--workloads", nargs="+", choices=loads, metavar="NAME", help=f"of {', '.join(loads)}"
    )
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="the engine that is profiled")
    parser.add_argument("--readme", action="store_true", help="print the README's tables, draw its plot")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where the JSON goes; default bench-results/"
    )
    return parser


def _choice(chosen: argparse.Namespace) -> Choice:
    return Choice(
        [kind for kind in KINDS if chosen.only is None or kind.name in chosen.only],
        [each for each in WORKLOADS if chosen.workloads is None or each.name in chosen.workloads],
    )


if __name__ == "__main__":
    main()
