"""Start and end processes, pin them, read their memory. Each is ended by its own id."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
_END_WITHIN = 15.0
_PEAK_RESET = "5"
"""Written to /proc/<pid>/clear_refs: forget the highest RSS so far (proc(5))."""


@contextmanager
def program(
    *command: str,
    cores: set[int],
    environ: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A program for as long as the block lasts: SIGTERM at its end, SIGKILL where that is ignored."""
    with _born_on(cores):
        process = subprocess.Popen(  # noqa: S603 - our own modules, and the programs that are measured
            command,
            cwd=ROOT,
            env=None if environ is None else dict(environ),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )
    try:
        yield process
    finally:
        end(process)


@contextmanager
def running(
    *arguments: str,
    cores: set[int],
    environ: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """The same with this Python."""
    command = (sys.executable, *arguments)
    with program(
        *command, cores=cores, environ=environ, stdin=stdin, stdout=stdout, stderr=stderr
    ) as process:
        yield process


def end(process: subprocess.Popen[str]) -> None:
    """End a process and wait for it; may be repeated."""
    process.terminate()
    try:
        process.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def first_line(process: subprocess.Popen[str]) -> str:
    """The next line of a process's standard output; raises EOFError where it has ended."""
    stdout: IO[str] | None = process.stdout
    line = stdout.readline() if stdout is not None else ""
    if not line:
        raise EOFError(f"process {process.pid} ended early")
    return line.strip()


def output_of(*arguments: str, cores: set[int], within: float) -> str:
    """What a Python process printed, within `within` seconds."""
    with running(*arguments, cores=cores, stdout=subprocess.PIPE) as process:
        return process.communicate(timeout=within)[0]


def cores_apart() -> tuple[set[int], set[int]]:
    """The gateway's core, and the cores of everything else; the same where there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    usable = sorted(os.sched_getaffinity(0))
    return {usable[-1]}, set(usable[:-1]) or {usable[-1]}


def pin(pid: int, cores: set[int]) -> None:
    """Keep a process on these cores, where the system can do that."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, cores)


@contextmanager
def _born_on(cores: set[int]) -> Iterator[None]:
    """Children inherit the cores, so that no thread of theirs begins elsewhere."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads so far; unlike a clock, little changed by what else runs on the machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Resident memory in MiB (VmRSS)."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """Highest resident memory since the last `reset_peak`, in MiB (VmHWM)."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    """Forget the highest resident memory so far."""
    Path(f"/proc/{pid}/clear_refs").write_text(_PEAK_RESET)


def _status(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) / 1024
    raise KeyError(key)
