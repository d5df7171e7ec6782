"""The real program in a process of its own, as users and platforms run it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

GUARD = 30.0
"""Seconds after which something that should have happened is taken as a failure."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard error, line by line."""
        return self.err.splitlines()


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The process's environment: nothing of ours or of any platform's, but what the test adds."""
    kept = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "TMPDIR", "LANG"}}
    return {**kept, "COLUMNS": "80", **more}


async def run(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `python -m gateway` to its end. Raises TimeoutError where it does not end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        *arguments,
        env=environment(environ or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GUARD):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Ended(process.returncode or 0, out.decode(), err.decode())


@dataclass(slots=True)
class Serving:
    """A running `serve`: its addresses and its log so far."""

    process: asyncio.subprocess.Process
    data: str
    admin: str
    lines: list[dict[str, Any]] = field(default_factory=list)
    reading: "asyncio.Task[None] | None" = None
    _said: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self) -> None:
        """Take note of what is logged, to the end."""
        assert self.process.stderr is not None
        while text := await self.process.stderr.readline():
            if not text.endswith(b"\n"):
                # Cut off in the middle of a write; whoever was not killed has written all.
                assert await self.process.wait() == -signal.SIGKILL
                return
            self.lines.append(json.loads(text))
            self._said.set()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the data listener."""
        host, _, port = self.data.rpartition("/")[2].rpartition(":")
        return host, int(port)

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process."""
        self.process.send_signal(number)

    async def said(self, message: str) -> None:
        """Wait for a log line with that message."""
        async with asyncio.timeout(GUARD):
            while not any(line["message"] == message for line in self.lines):
                self._said.clear()
                await self._said.wait()

    async def ended(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        async with asyncio.timeout(GUARD):
            code = await self.process.wait()
            if self.reading is not None:
                await self.reading
        return code


@asynccontextmanager
async def serving(environ: Mapping[str, str], *arguments: str) -> AsyncIterator[Serving]:
    """`python -m gateway serve` until the block ends; listeners take free ports unless `environ` says so."""
    free = {"ADT_GATEWAY_LISTEN__PORT": "0", "ADT_GATEWAY_ADMIN__PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        "serve",
        *arguments,
        env=environment({**free, **environ}),
        stderr=asyncio.subprocess.PIPE,
    )
    running = Serving(process, "", "")
    try:
        async with asyncio.timeout(GUARD):
            line = await _first_line(process)
        running.data, running.admin = line["data"], line["admin"]
        running.reading = asyncio.create_task(running.read())
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if running.reading is not None:
            await running.reading


async def _first_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The line that tells the addresses. Raises AssertionError where the process ended before."""
    assert process.stderr is not None
    before = []
    while text := await process.stderr.readline():
        before.append(text.decode())
        line: dict[str, Any] = json.loads(text) if text.startswith(b"{") else {}
        if line.get("message") == "listening":
            return line
    raise AssertionError("".join(before))
