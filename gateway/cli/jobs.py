"""`jobs list`, `show`, `watch` and `cancel`: the jobs as a running gateway knows them.

The first three ask the gateway's admin listener, which sends nothing upstream. Secrets come from the
configuration or a file, never from the command line, where every process of the machine can read them.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import FAILED, INTERRUPTED, Config, Version, complaints, output, refuse
from gateway.config import ConfigurationError

if TYPE_CHECKING:
    from gateway import console


class Kind(StrEnum):
    """What kinds of jobs there are."""

    IMPORT = "import"
    DELETION = "deletion"


class Status(StrEnum):
    """What a job can be chosen by; `unknown` is any status that the service's reference does not list."""

    NOT_STARTED = "notstarted"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


AdminUrl = Annotated[
    str | None,
    typer.Option("--admin", metavar="URL", help="The gateway's admin listener; default: as configured."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
JobKind = Annotated[Kind, typer.Argument(metavar="KIND", help="import or deletion.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]

app = typer.Typer(
    name="jobs",
    no_args_is_help=True,
    help="The import and deletion jobs, as a running gateway knows them.",
)


@app.callback()
def _root(*, version: Version = False) -> None:
    del version


@app.command("list")
def list_jobs(
    *,
    kind: Annotated[
        list[Kind] | None, typer.Option(metavar="KIND", help="Only import or only deletion jobs.")
    ] = None,
    status: Annotated[
        list[Status] | None, typer.Option(metavar="STATUS", help="Only jobs in this status; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most this many.")] = 100,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    config: Config = None,
    version: Version = False,
) -> None:
    """List the jobs, newest first."""
    del version
    from gateway import console as room  # noqa: PLC0415 - as in serve

    with _admin(config, admin) as gateway:
        listing = gateway.jobs(kind or (), status or (), limit)
    out = output()
    if as_json:
        out.out(room.as_json({"value": [job.raw for job in listing.jobs], "total": listing.total}))
        return
    if not listing.jobs:
        out.print("No such jobs." if kind or status else "The gateway has not seen any job.")
        return
    out.print(room.jobs_table(listing, time.time()))
    if listing.total > len(listing.jobs):
        complaints.print(
            f"{listing.total - len(listing.jobs)} older ones are not shown; see --limit and --status."
        )


@app.command()
def show(
    kind: JobKind,
    job_id: JobId,
    *,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    config: Config = None,
    version: Version = False,
) -> None:
    """Show all that is known of one job, with its history and trace."""
    del version
    from gateway import console as room  # noqa: PLC0415 - as in serve

    with _admin(config, admin) as gateway:
        job = gateway.job(kind, job_id)
    out = output()
    if as_json:
        out.out(room.as_json(job.raw))
    else:
        out.print(room.job_sheet(job, time.time()))


@app.command()
def watch(
    kind: Annotated[Kind | None, typer.Argument(metavar="[KIND", help="import or deletion.")] = None,
    job_id: Annotated[str | None, typer.Argument(metavar="ID]", help="The job's id.")] = None,
    *,
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two looks.")] = 1.0,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    config: Config = None,
    version: Version = False,
) -> None:
    """Follow one job to its end, or all that are unfinished; exit 0 if they succeeded, else 1."""
    del version
    from gateway import console as room  # noqa: PLC0415 - as in serve

    if kind is not None and job_id is None:
        refuse("Give KIND and ID of one job, or neither to watch all that are unfinished.")
    only = None if kind is None or job_id is None else (kind, job_id)
    out = output()
    display: room.JsonLines | room.Live | room.Lines
    if as_json:
        display = room.JsonLines(out)
    elif out.is_terminal and not out.is_dumb_terminal:
        display = room.Live(out, single=only is not None)
    else:
        display = room.Lines(out)
    with _admin(config, admin) as gateway:
        following = room.Watch(gateway, only)
        if not room.follow(following, display, interval=interval, clock=time.time, pause=time.sleep):
            raise typer.Exit(FAILED)


@app.command()
def cancel(
    words: Annotated[list[str], typer.Argument(metavar="[import] ID", help="The import job's id.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    gateway: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The data listener, or unix:/path; default: as configured."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A shared key of the gateway; default: as configured.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trust this CA (PEM) as well for an https gateway.")
    ] = None,
    config: Config = None,
    version: Version = False,
) -> None:
    """Cancel an import job. Nothing is rolled back: what was imported stays."""
    del version
    from gateway import console as room  # noqa: PLC0415 - as in serve

    job_id = _import_of(words)
    with _endings():
        reach = room.data_reach(config, os.environ, gateway, key_file=key_file, ca_file=ca_file)
        if not yes:
            _confirm(room.printable(job_id))
        try:
            cancelled = room.cancel(reach, job_id)
        except room.Refused as refused:
            if as_json:
                output().out(room.as_json({"error": refused.error}))
            raise
    if as_json:
        output().out(room.as_json(cancelled.job))
    else:
        output().print(room.cancelled_sheet(cancelled, job_id))


def _import_of(words: list[str]) -> str:
    """The id in `[import] ID`."""
    if words[0] == "deletion" and words[1:]:
        refuse("A deletion job cannot be cancelled: the service has no such operation.")
    if len(words) > 1 + (words[0] == "import"):
        refuse("Give the ID of one import job; in quotes if it has spaces.")
    return words[-1]


def _confirm(shown: str) -> None:
    if not sys.stdin.isatty():
        refuse("There is no terminal to ask at; --yes cancels without asking.")
    complaints.print(
        f"Cancel import job {shown}?\nNothing is rolled back: the models, twins and relationships that it has"
        " imported so far stay.\nyes or [no]: ",
        markup=False,
        emoji=False,
        end="",
    )
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        refuse("Nothing was sent.", code=FAILED)


@contextmanager
def _admin(config: Path | None, url: str | None) -> Iterator["console.Admin"]:
    """The admin listener; what goes wrong with it ends the command."""
    from gateway import console as room  # noqa: PLC0415 - as in serve

    with _endings(), room.Admin(room.admin_reach(config, os.environ, url)) as admin:
        yield admin


@contextmanager
def _endings() -> Iterator[None]:
    """Turn what can go wrong into one line and an exit code."""
    from gateway import console as room  # noqa: PLC0415 - as in serve

    try:
        yield
    except ConfigurationError as error:
        refuse(*map(str, error.problems))
    except room.BadUsage as error:
        refuse(str(error))
    except room.Failure as error:
        refuse(str(error), code=FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
