"""Where a watch is shown: live in a terminal, else as a line for each change, or as JSON lines."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich import live
from rich.console import Console, Group
from rich.text import Text

from gateway.console.job import as_json
from gateway.console.tables import expectation, progress_sheet, progress_status, progress_table
from gateway.console.text import iso, length, moment, printable
from gateway.console.watch import Change, Followed

_GONE: Final = "gone: deleted, purged, or forgotten when the gateway was restarted"
_NOTHING: Final = "No unfinished jobs."


class _Printed:
    """A display that needs neither a start nor an end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Live:
    """A table that is drawn again at each look; its last state stays."""

    def __init__(self, console: Console, *, single: bool) -> None:
        self._single = single
        self._live = live.Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, followed: Sequence[Followed], changes: Sequence[Change], now: float) -> None:  # noqa: ARG002
        """Draw the state."""
        self._draw(followed, now, _GONE if any(one.gone for one in followed) else "")

    def silent(self, followed: Sequence[Followed], reason: str, now: float) -> None:
        """Draw the last state again, and why it is not a newer one."""
        self._draw(followed, now, f"{reason} Trying again.")

    def _draw(self, followed: Sequence[Followed], now: float, note: str) -> None:
        if not followed:
            shown = Group(_NOTHING)
        elif self._single:
            shown = Group(progress_sheet(followed[0], now))
        else:
            shown = Group(progress_table(followed, now))
        if note:
            shown.renderables.append(Text(note, "yellow"))
        self._live.update(shown, refresh=True)


class Lines(_Printed):
    """A line for each change, with the time of the look in UTC."""

    def show(self, followed: Sequence[Followed], changes: Sequence[Change], now: float) -> None:
        """Print what is new."""
        if not followed:
            self._console.print(_NOTHING)
        for change in changes:
            self._print(now, _line(change.followed, now))

    def silent(self, followed: Sequence[Followed], reason: str, now: float) -> None:  # noqa: ARG002
        """Print why there is nothing new."""
        self._print(now, f"{reason} Trying again.")

    def _print(self, now: float, text: str) -> None:
        self._console.print(Text(f"{moment(now)} UTC  {text}"), soft_wrap=True)


class JsonLines(_Printed):
    """An object for each change; a gateway that is silent for a while is not one."""

    def show(self, followed: Sequence[Followed], changes: Sequence[Change], now: float) -> None:  # noqa: ARG002
        """Print what is new."""
        for change in changes:
            one = change.followed
            fields = {
                "change": change.what,
                "elapsedSeconds": one.job.elapsed(now),
                "pollsPerSecond": one.pace.rate,
                "expectedEndDateTime": iso(one.expected_end),
                "expectedFrom": one.usual.jobs if one.usual else 0,
                "job": one.job.raw,
            }
            self._console.out(as_json(fields, indent=None), highlight=False)

    def silent(self, followed: Sequence[Followed], reason: str, now: float) -> None:
        """Print nothing."""


def _line(one: Followed, now: float) -> str:
    said = f"{printable(one.job.kind)} job {printable(one.job.id)}: {progress_status(one)}"
    if one.gone:
        return f"{said} ({_GONE.partition(': ')[2]})"
    said = f"{said}, elapsed {length(one.job.elapsed(now))}"
    return said if one.is_over else f"{said}, expected end {expectation(one, now)}"
