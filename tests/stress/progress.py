"""What runs, since when, and how long it will take; on standard error."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn


def clock(seconds: float) -> str:
    """`1:05`, minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Display:
    """A bar on a terminal; elsewhere one line whenever something else is done."""

    def __init__(self, whole: float, rows: int) -> None:
        """`whole` is what all rows take, in seconds, about."""
        self._console = Console(stderr=True, highlight=False)
        self._began = time.perf_counter()
        self._whole = whole
        self._rows = rows
        self._before = 0.0
        self._expected = 1.0
        self._row_began = self._began
        self._name = ""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[now]}"),
        )
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task("", total=whole, now="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, number: int, name: str, seconds: float) -> None:
        """Row `number` of all begins, and will take so long, about."""
        self._name = f"[{number}/{self._rows}] {name}"
        self._expected, self._row_began = seconds, time.perf_counter()
        self.say("begins")

    def end(self, verdict: str) -> None:
        """The row is over."""
        self.say(verdict)
        self._before += self._expected

    def say(self, text: str) -> None:
        """What is done now."""
        now = time.perf_counter()
        took = now - self._row_began
        left = max(0.0, self._expected - took) + self._whole - self._before - self._expected
        times = f"since {clock(took)} of about {clock(self._expected)}, all done in about {clock(left)}"
        if self._console.is_terminal:
            done = self._before + min(took, self._expected)
            self._progress.update(
                self._task, description=escape(self._name), completed=done, now=escape(f"{text}; {times}")
            )
        else:
            self._console.print(
                f"{clock(now - self._began)} {self._name}: {text}; {times}", markup=False, soft_wrap=True
            )
