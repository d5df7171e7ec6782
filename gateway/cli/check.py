"""`check`: the configuration, and with `--online` whether token and upstream can be had."""

import asyncio
import dataclasses
import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.cli.options import (
    FAILED,
    INTERRUPTED,
    Config,
    Version,
    cautioned,
    complaints,
    configured,
    output,
    refuse,
)
from gateway.config import ConfigurationError, Settings

if TYPE_CHECKING:
    from gateway.cli.checkup import Checkup
    from gateway.online import Step

_STYLES: Final = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim", "note": "dim"}
_OUTCOME: Final = 9
_NAME: Final = 15
_LONGEST: Final = 1_000
"""Characters of one line that came from outside."""


Online = Annotated[
    bool,
    typer.Option(
        "--online",
        help="Also get a token, resolve and reach the upstream (GET /eventroutes, never the jobs API),"
        " and say what to do about what fails; exit 1 if something does.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for scripts.")]


def check(
    *,
    online: Online = False,
    as_json: AsJson = False,
    config: Config = None,
    version: Version = False,
) -> None:
    """Print every configuration problem with its key; exit 2 if there is one.

    With --online also whether the gateway could do its work from here: its
    files, a token, name, connection, TLS and an answer of the upstream, the
    clock, the trace collector, the fleet's store, its ports. Nothing is changed
    anywhere, and the token is never shown.
    """
    del version
    report = _Report(as_json=as_json)
    try:
        settings = configured(config)
    except ConfigurationError as error:
        _end_misconfigured(report, *map(str, error.problems))
    cautioned(settings)
    base_url, mode = settings.upstream.base_url, settings.auth.mode
    if not online and not as_json:
        typer.echo(f"The configuration is valid: {base_url}, auth.mode {mode}.")
        return
    checkup = _checkup(settings, report) if online else None
    report.configuration("ok", f"valid: {base_url}, auth.mode {mode}")
    if checkup is not None:
        try:
            with report.busy:
                asyncio.run(checkup.run())
        except KeyboardInterrupt:
            complaints.print("Stopped.")
            raise typer.Exit(INTERRUPTED) from None
    report.close(ok=not report.failed)
    if report.failed:
        raise typer.Exit(FAILED)


def _checkup(settings: Settings, report: "_Report") -> "Checkup":
    # Imported here, so that --help and the plain check stay fast.
    from gateway.cli.checkup import Checkup  # noqa: PLC0415
    from gateway.spans import TracingConfigError  # noqa: PLC0415

    try:
        return Checkup(settings, os.environ, begin=report.begin, tell=report.tell)
    except TracingConfigError as error:
        _end_misconfigured(report, str(error))


def _end_misconfigured(report: "_Report", *problems: str) -> NoReturn:
    report.configuration("failed", "the configuration cannot be used", *problems)
    report.close(ok=False)
    refuse(*problems)


class _Report:
    """Tells the steps as they end, or all of them in one JSON document."""

    def __init__(self, *, as_json: bool) -> None:
        self._out = output()
        self._as_json = as_json
        self._steps: list[dict[str, Any]] = []
        self._status = None
        live = self._out.is_terminal and not self._out.is_dumb_terminal and not as_json
        self.busy: Any = nullcontext()
        if live:
            self.busy = self._status = self._out.status("")

    @property
    def failed(self) -> list[str]:
        """Names of the steps that failed."""
        return [step["name"] for step in self._steps if step["outcome"] == "failed"]

    def configuration(self, outcome: str, message: str, *details: str) -> None:
        """The first step, which nothing is asked for."""
        self._take(
            {
                "name": "configuration",
                "outcome": outcome,
                "message": message,
                "details": list(details),
                "advice": "",
                "seconds": 0.0,
            },
            quiet=outcome == "failed",
        )

    def begin(self, name: str) -> None:
        """A step begins."""
        if self._status is not None:
            self._status.update(f"{name} …")

    def tell(self, step: "Step") -> None:
        """A step has ended."""
        finding = dataclasses.asdict(step.finding)
        seconds = round(step.seconds, 3)
        self._take({"name": step.name, **finding, "outcome": str(finding["outcome"]), "seconds": seconds})

    def close(self, *, ok: bool) -> None:
        """All steps have ended."""
        if self._as_json:
            from gateway.console import as_json  # noqa: PLC0415 - as in serve

            self._out.out(as_json({"ok": ok, "steps": self._steps}))
        elif ok:
            _line(self._out, Text("\nNothing failed."))
        elif self.failed != ["configuration"]:
            _line(self._out, Text(f"\nFailed: {', '.join(self.failed)}."))

    def _take(self, step: dict[str, Any], *, quiet: bool = False) -> None:
        self._steps.append(step)
        if self._as_json or quiet:
            return
        from gateway.console import printable  # noqa: PLC0415 - as in serve

        def shown(text: str) -> str:
            return printable(text, _LONGEST)

        indent = (0, 0, 0, _OUTCOME + _NAME)
        style = _STYLES[step["outcome"]]
        took = f" ({step['seconds']:.2f} s)" if step["seconds"] >= 0.01 else ""  # noqa: PLR2004 - worth telling
        head = Text.assemble(
            (f"{step['outcome']:{_OUTCOME}}", style), f"{step['name']:{_NAME}}{shown(step['message'])}{took}"
        )
        _line(self._out, head)
        for detail in step["details"]:
            self._out.print(Padding(Text(shown(detail), "dim"), indent, expand=False))
        if step["advice"]:
            self._out.print(Padding(Text(f"What to do: {shown(step['advice'])}"), indent, expand=False))
        sys.stdout.flush()


def _line(out: Console, text: Text) -> None:
    """One line, never folded or cut."""
    out.print(text, soft_wrap=True)
