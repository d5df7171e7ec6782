"""Programs that are not ours, run to their end or beside a test."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def done(
    command: Sequence[str | Path], environ: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command, run to whatever end."""
    return subprocess.run(  # noqa: S603 - the tests' own commands
        command, check=False, capture_output=True, text=True, env=environ
    )


def output(command: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> str:
    """What the command writes. Raises AssertionError with its complaints where it fails."""
    ended = done(command, environ)
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


@contextmanager
def running(
    command: Sequence[str | Path], environ: Mapping[str, str] | None = None
) -> "Iterator[subprocess.Popen[str]]":
    """The command while the block runs; it is killed where it outlives that."""
    process = subprocess.Popen(  # noqa: S603 - the tests' own commands
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        yield process
    except BaseException as error:
        process.kill()
        error.add_note(f"{' '.join(map(str, command))}\n{''.join(process.communicate())}")
        raise
    finally:
        process.kill()
        process.communicate()


def until(seen: Callable[[], T | None], *, within: float = 90.0) -> T:
    """What `seen` gives once it gives something. Raises TimeoutError where that takes too long."""
    end = time.monotonic() + within
    while not (found := seen()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
    return found


def child_of(pid: int, name: str) -> int | None:
    """The child of a process whose program has this in its name; None while there is none."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else ():
        if name in Path(f"/proc/{child}/exe").readlink().name:
            return int(child)
    return None
