"""Figures, the table on the terminal, and the JSON file."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; the median where there are several samples."""

    measure: str
    value: float
    unit: str
    must: float | None = None
    bound: Literal["under", "at most", "at least"] = "under"
    samples: Sequence[float] = ()
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the reach is kept; None where there is none."""
        if self.must is None:
            return None
        match self.bound:
            case "under":
                return self.value < self.must
            case "at most":
                return self.value <= self.must
            case "at least":
                return self.value >= self.must


@dataclass(slots=True)
class Report:
    """All figures of one run, and how noisy the machine was."""

    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    load_before: Sequence[float] = field(default_factory=os.getloadavg)
    figures: list[Figure] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    def write(self, path: Path) -> None:
        """The report as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {
            "started": self.started,
            "machine": {
                "python": platform.python_version(),
                "system": platform.platform(),
                "cores": os.cpu_count(),
                "load_before": self.load_before,
                "load_after": os.getloadavg(),
            },
            "figures": [{**asdict(figure), "holds": figure.holds} for figure in self.figures],
            "faults": self.faults,
        }
        path.write_text(json.dumps(whole, indent=2) + "\n")

    def show(self, console: Console) -> None:
        """The table, and then plainly what does not hold."""
        table = Table("measure", "must", "measured", "samples", "", title=f"adt-gateway, {self.started}")
        for column in table.columns[1:4]:
            column.justify = "right"
        for figure in self.figures:
            table.add_row(
                figure.measure,
                _must(figure),
                f"{_number(figure.value)} {figure.unit}",
                _spread(figure),
                _verdict(figure),
            )
        console.print(table)
        before, after = (
            " ".join(f"{each:.2f}" for each in load) for load in (self.load_before, os.getloadavg())
        )
        console.print(f"{os.cpu_count()} cores; load average before {before}, after {after}")
        broken = [figure.measure for figure in self.figures if figure.holds is False]
        for line in self.faults:
            console.print(f"[red]not measured:[/] {escape(line)}")
        for measure in broken:
            console.print(f"[red]does not hold:[/] {measure}")
        if not broken and not self.faults:
            console.print("[green]every reach holds[/]")


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 3
    return f"{value:,.{digits}f}"


def _must(figure: Figure) -> str:
    if figure.must is None:
        return ""
    sign = {"under": "<", "at most": "≤", "at least": "≥"}[figure.bound]
    return f"{sign} {figure.must:g} {figure.unit}"


def _spread(figure: Figure) -> str:
    if len(figure.samples) < 2:
        return figure.note
    low, high = _number(min(figure.samples)), _number(max(figure.samples))
    return f"{low} to {high}, n={len(figure.samples)} {figure.note}".rstrip()


def _verdict(figure: Figure) -> str:
    return {None: "", True: "[green]holds[/]", False: "[red]does not hold[/]"}[figure.holds]
