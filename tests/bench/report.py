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

from tests.bench.samples import Samples


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
    goal: float | None = None
    """What would be better than the must, with the same bound."""

    @property
    def holds(self) -> bool | None:
        """Whether the must is kept; None where there is none."""
        return self._keeps(self.must)

    @property
    def at_goal(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return self._keeps(self.goal)

    def _keeps(self, limit: float | None) -> bool | None:
        if limit is None:
            return None
        match self.bound:
            case "under":
                return self.value < limit
            case "at most":
                return self.value <= limit
            case "at least":
                return self.value >= limit


@dataclass(slots=True)
class Report:
    """All figures of one run, and how noisy the machine was."""

    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    load_before: Sequence[float] = field(default_factory=os.getloadavg)
    figures: list[Figure] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What could not be measured, and why."""
    samples: Samples = field(default_factory=Samples)
    """What was measured side by side."""

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
            "figures": [
                {**asdict(each), "holds": each.holds, "at_goal": each.at_goal} for each in self.figures
            ],
            "faults": self.faults,
            "samples": [{**asdict(each), "rate": each.rate} for each in self.samples.every],
        }
        path.write_text(json.dumps(whole, indent=2) + "\n")

    def show(self, console: Console) -> None:
        """The table, and then plainly what does not hold."""
        goals = any(figure.goal is not None for figure in self.figures)
        limits = ("must", "goal") if goals else ("must",)
        table = Table("measure", *limits, "reached", "samples", "", title=f"adt-gateway, {self.started}")
        for column in table.columns[1:-1]:
            column.justify = "right"
        for figure in self.figures:
            shown = [limit(figure, each) for each in (figure.must, figure.goal)][: len(limits)]
            table.add_row(
                figure.measure,
                *shown,
                f"{number(figure.value)} {figure.unit}",
                spread(figure),
                _verdict(figure),
            )
        console.print(table)
        console.print(self.machine())
        broken = [figure.measure for figure in self.figures if figure.holds is False]
        for line in self.faults:
            console.print(f"[red]not measured:[/] {escape(line)}")
        for measure in broken:
            console.print(f"[red]does not hold:[/] {measure}")
        if not broken and not self.faults:
            console.print("[green]every must holds[/]")

    def machine(self) -> str:
        """Whose interpreter it was, how many cores there were, and how busy they were."""
        before, after = (
            " ".join(f"{each:.2f}" for each in load) for load in (self.load_before, os.getloadavg())
        )
        python = f"Python {platform.python_version()}, {platform.python_compiler()}"
        return f"{python}; {os.cpu_count()} cores; load average before {before}, after {after}"


def number(value: float) -> str:
    """A value with as many digits as say something."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 3
    return f"{value:,.{digits}f}"


def limit(figure: Figure, value: float | None) -> str:
    """A must or a goal with its sign; empty where there is none."""
    if value is None:
        return ""
    sign = {"under": "<", "at most": "≤", "at least": "≥"}[figure.bound]
    return f"{sign} {value:g} {figure.unit}"


def spread(figure: Figure) -> str:
    """From the least to the most of the samples, and the note."""
    if len(figure.samples) < 2:
        return figure.note
    low, high = number(min(figure.samples)), number(max(figure.samples))
    return f"{low} to {high}, n={len(figure.samples)} {figure.note}".rstrip()


def _verdict(figure: Figure) -> str:
    if figure.holds is False:
        return "[red]does not hold[/]"
    if figure.at_goal:
        return "[green]at the goal[/]"
    return "[green]holds[/]" if figure.holds else ""
