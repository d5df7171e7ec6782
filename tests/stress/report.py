"""What came of the rows: the table on the terminal, the JSON file, and the table for the README."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.report import Figure
from tests.stress.row import Outcome, Row

_SIGNS = {"under": "<", "at most": "≤", "at least": "≥"}


@dataclass(slots=True)
class Finished:
    """A row that was run."""

    row: Row
    outcome: Outcome
    seconds: float
    broken: str = ""
    """Why it could not be run to its end."""
    faults: Sequence[str] = ()
    """What gateways logged as bugs of theirs."""

    def failing(self, *, quick: bool) -> list[Figure]:
        """Figures that do not hold; in a quick run the promises' only."""
        decisive = self.outcome.promises + ([] if quick else self.outcome.measures)
        return [figure for figure in decisive if figure.holds is False]

    def holds(self, *, quick: bool) -> bool:
        """Whether the row holds."""
        return not self.broken and not self.faults and not self.failing(quick=quick)


@dataclass(slots=True)
class Report:
    """All rows of one run, and how noisy the machine was."""

    quick: bool
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    load_before: Sequence[float] = field(default_factory=os.getloadavg)
    rows: list[Finished] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every row does."""
        return all(each.holds(quick=self.quick) for each in self.rows)

    def write(self, path: Path) -> None:
        """The report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "load_before": self.load_before,
            "load_after": os.getloadavg(),
        }
        whole = {
            "started": self.started,
            "quick": self.quick,
            "machine": machine,
            "holds": self.holds,
            "rows": [self._document(each) for each in self.rows],
        }
        path.write_text(json.dumps(whole, indent=2) + "\n")

    def _document(self, finished: Finished) -> dict[str, object]:
        def figures(those: Sequence[Figure]) -> list[dict[str, object]]:
            return [{**asdict(figure), "holds": figure.holds} for figure in those]

        return {
            "row": finished.row.name,
            "load": finished.row.load,
            "must": finished.row.holds,
            "seconds": round(finished.seconds, 1),
            "holds": finished.holds(quick=self.quick),
            "broken": finished.broken,
            "faults": list(finished.faults),
            "promises": figures(finished.outcome.promises),
            "measures": figures(finished.outcome.measures),
        }

    def show(self, console: Console) -> None:
        """The table, and then plainly what does not hold."""
        title = f"adt-gateway under stress, {self.started}{', quick: times do not decide' * self.quick}"
        table = Table("row", "load or fault", "holds when", "figure", "", title=title, show_lines=True)
        for column, share in zip(table.columns[1:4], (2, 2, 5), strict=True):
            column.ratio = share
        table.expand = True
        for each in self.rows:
            verdict = "[green]holds[/]" if each.holds(quick=self.quick) else "[red]does not hold[/]"
            table.add_row(
                each.row.name, escape(each.row.load), escape(each.row.holds), escape(_figures(each)), verdict
            )
        console.print(table)
        console.print(f"{os.cpu_count()} cores; {_noise(self.load_before)}")
        for each in self.rows:
            for line in (*([each.broken] if each.broken else []), *each.faults[:5]):
                console.print(f"[red]{each.row.name}:[/] {escape(line)}")
            for figure in each.failing(quick=self.quick):
                console.print(f"[red]{each.row.name}, does not hold:[/] {escape(_figure(figure))}")
        if self.holds:
            console.print("[green]every row holds[/]")

    def markdown(self) -> str:
        """The table for the README, of this run."""
        lines = ["| load or fault | holds when | figure | |", "|---|---|---|---|"]
        for each in self.rows:
            verdict = "holds" if each.holds(quick=self.quick) else "**does not hold**"
            figures = _figures(each).replace("\n", "<br>").replace("|", "\\|")
            lines.append(f"| {each.row.load} | {each.row.holds} | {figures} | {verdict} |")
        return "\n".join(lines)


def _noise(before: Sequence[float]) -> str:
    shown = [" ".join(f"{each:.2f}" for each in load) for load in (before, os.getloadavg())]
    return f"load average before {shown[0]}, after {shown[1]}"


def _figures(finished: Finished) -> str:
    figures = [*finished.outcome.promises, *finished.outcome.measures]
    return "\n".join(_figure(figure) for figure in figures)


def _figure(figure: Figure) -> str:
    if figure.must == 0 and figure.bound == "at most":
        return _count(figure)
    unit = f" {figure.unit}".rstrip()
    must = "" if figure.must is None else f" ({_SIGNS[figure.bound]} {_number(figure.must)}{unit})"
    note = f", {figure.note}" if figure.note else ""
    return f"{figure.measure}: {_number(figure.value)}{unit}{must}{note}"


def _count(figure: Figure) -> str:
    """Of `row.none` and `row.exactly`."""
    if figure.unit:
        return f"{figure.measure}: {figure.note}"
    note = f" ({figure.note})" if figure.note else ""
    return f"{_number(figure.value)} {figure.measure}{note}"


def _number(value: float) -> str:
    if value == round(value) and abs(value) < 10_000_000:
        return f"{value:,.0f}"
    return f"{value:,.{1 if abs(value) >= 10 else 2}f}"
