"""`python -m tests.mutants [target ...]`: mutate, run, print, and fail where the tests let too much live."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from tests.mutants import report
from tests.mutants.campaign import Broken, Campaign, Fate, copied_tree
from tests.mutants.targets import ROOT, TARGETS

_COLUMNS = "{:<14}{:>9}{:>9}{:>10}{:>10}{:>10}{:>9}{:>9}"

_TOLD = ("target", "mutants", "killed", "timeout", "survived", "untested")


def main() -> int:
    """The exit code: 0 where every target holds, 1 where one does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", choices=[[], *TARGETS], metavar="target", help=", ".join(TARGETS)
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, default=ROOT / "bench-results" / "mutants.json")
    asked = parser.parse_args()
    # Asked to stop, the copy and the processes go as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    listed, wrong, summaries = report.reasons(), [], []
    _say(_COLUMNS.format(*_TOLD, "share", "seconds"))
    with copied_tree() as tree:
        campaign = Campaign(tree, asked.workers)
        for target in asked.targets or TARGETS:
            began = time.monotonic()
            try:
                fates = [_told(fate, listed) for fate in campaign.fates(target)]
            except Broken as error:
                wrong.append(str(error))
                continue
            summaries.append(report.summary(target, fates))
            _tell(summaries[-1], time.monotonic() - began)
            wrong += report.faults(target, fates, listed)
            for note in report.notes(fates, listed):
                _say(f"note: {note}")
    report.write(asked.json, summaries)
    for fault in wrong:
        _say(fault)
    return 1 if wrong else 0


def _told(fate: Fate, listed: report.Reasons) -> Fate:
    if not report.is_dead(fate) and not report.reason_for(fate, listed):
        _say(f"  {fate.path}: {fate.outcome}: {fate.edit.name}")
    return fate


def _tell(summary: dict[str, object], seconds: float) -> None:
    _say(_COLUMNS.format(*(summary[name] for name in _TOLD), f"{summary['share']:.1%}", f"{seconds:.0f}"))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
