"""What the commands have in common: options, exit codes, and how a command ends that cannot go on."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from gateway import routes
from gateway._version import __version__
from gateway.config import Settings, load, warnings

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

complaints = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error, for people."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adt-gateway {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="TOML file; without it: environment and defaults."),
]


def refuse(*lines: str, code: int = BAD_USAGE) -> NoReturn:
    """End with an `error:` line for each mistake."""
    for line in lines:
        complaints.print(f"error: {line}", markup=False, emoji=False)
    raise typer.Exit(code)


def configured(config: Path | None) -> Settings:
    """The settings of this file, with the environment over it. Raises ConfigurationError."""
    return load(config, os.environ, known_templates=routes.TEMPLATES)


def cautioned(settings: Settings) -> None:
    """Tell what is allowed, but should be known."""
    for warning in warnings(settings, os.environ):
        complaints.print(f"warning: {warning}", markup=False)


def output() -> Console:
    """Standard output. Where it is no terminal, nothing is folded or cut: programs read it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An id may have characters that the terminal's encoding has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    out = Console(highlight=False, emoji=False)
    if not out.is_terminal:
        out.width = 10_000
    return out
