"""The stress command itself: it runs, judges and reports. No time is judged here."""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.processes import ROOT
from tests.bench.report import Figure
from tests.stress.load import Result, Shot
from tests.stress.report import Finished, Report
from tests.stress.row import Outcome, Row, exactly, none
from tests.stress.rows import ROWS
from tests.stress.rows.soak import slope
from tests.stress.stage import unwanted

_WITHIN = 240.0


async def stress(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.stress", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.slow
async def test_quick_rows_keep_their_promises(tmp_path: Path) -> None:
    """A quick run of some rows: every promise holds, each is in the JSON and shown, and progress is told."""
    names = ["rotation", "shutdown", "cardinality"]
    path = tmp_path / "stress.json"
    code, out, err = await stress(*names, "--quick", "--readme", "--json", str(path))
    report: dict[str, Any] = json.loads(path.read_text())
    rows = {row["row"]: row for row in report["rows"]}
    assert list(rows) == names
    broken = [(row["row"], row["broken"], row["faults"]) for row in rows.values() if not row["holds"]]
    assert not broken
    assert (code, report["quick"], report["holds"]) == (0, True, True)
    assert all(figure["holds"] for row in rows.values() for figure in row["promises"])
    assert all(row["promises"] and row["measures"] for row in rows.values())
    assert "every row holds" in out
    assert out.count("\n| ") == len(names) + 1
    for number, name in enumerate(names, start=1):
        assert re.search(rf"\[{number}/{len(names)}\] {name}: .*since \d+:\d\d of about \d+:\d\d", err)


async def test_the_list_names_every_row() -> None:
    """`--list` says which rows there are and how long each takes, and runs none."""
    code, out, _ = await stress("--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if line] == [row.name for row in ROWS]


async def test_an_unknown_row_is_bad_usage() -> None:
    """A row that there is not is told with those that there are; exit status 2."""
    code, _, err = await stress("nonsense")
    assert code == 2
    assert "nonsense" in err
    assert all(row.name in err for row in ROWS)


def test_all_rows_fit_into_their_time() -> None:
    """All of it takes less than 70 minutes, a quick run less than 9, by what the rows say of themselves."""
    assert sum(row.seconds for row in ROWS) < 70 * 60
    assert sum(row.quick_seconds for row in ROWS) < 9 * 60


def _finished(outcome: Outcome, **more: Any) -> Finished:
    async def run(_: object) -> Outcome:
        return outcome

    return Finished(Row("row", "a load", "it holds", 1, 1, run), outcome, 1.0, **more)


SLOW = Figure("p99", 9, "ms", 5)


@pytest.mark.parametrize(
    ("finished", "whole", "quick"),
    [
        (_finished(Outcome([none("lost", 0)], [])), True, True),
        (_finished(Outcome([none("lost", 1)], [])), False, False),
        (_finished(Outcome([none("lost", 0)], [SLOW])), False, True),
        (_finished(Outcome([exactly("asked", 2, 1)], [])), False, False),
        (_finished(Outcome([none("lost", 0)], []), broken="OSError: no"), False, False),
        (_finished(Outcome([none("lost", 0)], []), faults=["a bug"]), False, False),
    ],
    ids=["all", "promise", "measure", "count", "broken", "bug"],
)
def test_what_decides(finished: Finished, whole: bool, quick: bool) -> None:
    """A promise decides always, a measure in a whole run; what broke, or has logged a bug, never holds."""
    assert Report(quick=False, rows=[finished]).holds is whole
    assert Report(quick=True, rows=[finished]).holds is quick


def test_unwanted_answers_are_counted() -> None:
    """Every answer but the right one of its shot counts, a missing one too."""
    shots = (Shot("twin", "/"), Shot("cut", "/", wanted="502 X"))
    result = Result({"twin": {"200": 5, "503 Y": 2, "no whole answer": 1}, "cut": {"502 X": 3, "200": 1}}, {})
    assert (unwanted(result, shots), result.requests) == (4, 12)


def test_slope() -> None:
    """The least squares of points on a line are the line; of one point there is none."""
    assert slope([(at, 3 + 0.5 * at) for at in range(10)]) == pytest.approx(0.5)
    assert slope([(1.0, 2.0)]) == 0
