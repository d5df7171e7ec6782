"""Jobs as the gateway's API tells them, a gateway to ask that follows a script, and terminals to look at."""

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from typer.testing import CliRunner

from gateway.cli.commands import app
from gateway.console.client import Listing, Unknown
from gateway.console.job import Job, Key, read_job
from gateway.console.text import iso
from tests.support.process import Ended

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
"""When the first look is taken, seconds since the epoch."""


def told(job_id: str = "one", status: str = "running", *, kind: str = "import", **fields: Any) -> Job:
    """A job that was created 10 s before `NOW`; fields are named as in the API."""
    created = {"createdDateTime": iso(NOW - 10)}
    return read_job({"kind": kind, "id": job_id, "status": status, **created, **fields})


def past(seconds: float | None, *, kind: str = "import", status: str = "succeeded") -> Job:
    """A job that ended before, after so long."""
    return told("past", status, kind=kind, durationSeconds=seconds, finishedDateTime=iso(NOW - 100))


@dataclass
class Script:
    """A gateway that knows other jobs at each look: the last ones stay. An exception is raised instead."""

    looks: list[list[Job] | Exception]
    finished: list[Job] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def jobs(self, kinds: Iterable[str] = (), statuses: Iterable[str] = (), limit: int = 1000) -> Listing:
        """The unfinished ones of this look, or those that have succeeded."""
        kinds, statuses = tuple(kinds), tuple(statuses)
        self.asked.append(("jobs", *kinds, *statuses))
        of = self.finished if statuses == ("succeeded",) else self._look()
        found = [job for job in of if job.kind in (kinds or job.kind) and job.status in (statuses)]
        return Listing(tuple(found[:limit]), len(found))

    def job(self, kind: str, job_id: str) -> Job:
        """One of this look. Raises Unknown."""
        self.asked.append(("job", kind, job_id))
        for job in self._look():
            if job.key == (kind, job_id):
                return job
        raise Unknown(f"The gateway knows no {kind} job {job_id}.")

    def next(self, _seconds: float = 0) -> None:
        """Go on to the next look."""
        if len(self.looks) > 1:
            del self.looks[0]

    def _look(self) -> list[Job]:
        now = self.looks[0]
        if isinstance(now, Exception):
            raise now
        return now


@dataclass
class Time:
    """A wall clock that moves by the pauses that are made, and lets a script go on."""

    script: Script
    now: float = NOW
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        """Let so much time go by."""
        self.pauses.append(seconds)
        self.now += seconds
        self.script.next()


def terminal(width: int = 100) -> Console:
    """A terminal without colours, whose screen is read with `screen`."""
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, no_color=True, highlight=False, emoji=False
    )


def pipe() -> Console:
    """A file or a pipe."""
    return Console(file=io.StringIO(), width=10_000, highlight=False, emoji=False)


def written(console: Console) -> str:
    """All that was written."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(renderable: RenderableType) -> list[str]:
    """What a table looks like, without the spaces at the ends of its lines."""
    console = pipe()
    console.print(renderable)
    return [line.rstrip() for line in written(console).splitlines()]


def invoke(*arguments: str, **environ: str) -> Ended:
    """Run `adt-gateway jobs` in this process, not at a terminal, with no more configuration than is given."""
    configured = {name: None for name in os.environ if name.startswith("ADT_GATEWAY_")}
    ended = CliRunner().invoke(app, ["jobs", *arguments], env={**configured, "COLUMNS": "80", **environ})
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


KEY: Key = ("import", "one")
