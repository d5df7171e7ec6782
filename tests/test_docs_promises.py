"""The README's table of what is shown: every row names what shows it, and what is named exists."""

import re
from pathlib import Path

import pytest

from tests.stress.rows import ROWS
from tests.support import docs

HEADING = "### What is shown"
TESTS = Path(__file__).parent
AREAS = {
    "smuggling",
    "origin",
    "credentials",
    "secrets",
    "isolation",
    "truncation",
    "hostile upstream",
    "at most once",
    "cancel storm",
    "memory",
    "slow clients",
    "idle",
    "overload",
    "token rotation",
    "token outage",
    "clock",
    "401",
    "shutdown",
    "exporter",
    "cardinality",
    "start",
    "fuzz",
}
"""What must be shown; more may be."""
CODE = re.compile(r"`([^`]+)`")
FILE = re.compile(r"(?:[a-z_0-9]+/)*[a-z_0-9*]+\.py")
STRESS = re.compile(r"make stress(?: (?:[A-Z]+=)?([a-z-]+))?")


def section() -> str:
    """What stands below the heading, up to the next one."""
    text = docs.README.read_text()
    assert text.count(f"\n{HEADING}\n") == 1
    return re.split(r"\n#+ ", text.partition(f"\n{HEADING}\n")[2])[0]


def table() -> dict[str, list[str]]:
    """Load or fault, what holds, the figure and what shows it, by area."""
    rows = [line for line in section().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]
    return {first: rest for first, *rest in cells if first != "area"}


def test_every_promise_has_its_row() -> None:
    """No area is left out."""
    assert set(table()) >= AREAS


@pytest.mark.parametrize("area", sorted(AREAS))
def test_what_shows_a_row_exists(area: str) -> None:
    """There is a figure, at least one file of tests or command is named, and each that is named exists."""
    load, holds, figure, shown = table()[area]
    assert load
    assert holds
    assert re.search(r"\d", figure)
    names = CODE.findall(shown)
    assert names
    for name in names:
        stress = STRESS.fullmatch(name)
        if FILE.fullmatch(name):
            assert list(TESTS.glob(name)), name
        elif stress is not None:
            assert stress[1] in {None, *(row.name for row in ROWS)}, name
        else:
            assert name == "make mutants"
