"""A gateway in a process of its own, and what can be seen of it from outside."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.bench import processes
from tests.stress.client import fetch

READY_WITHIN = 60.0
_ENDS_WITHIN = 60.0
_PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")


class NotReadyError(Exception):
    """The gateway ended, or was not ready in time."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What /metrics says."""

    text: str
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    @property
    def series(self) -> int:
        return len(self.samples)

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of that name with at least these labels."""
        wanted = set(labels.items())
        return sum(value for (each, has), value in self.samples.items() if each == name and wanted <= has)

    def errors(self) -> dict[str, float]:
        """Error answers so far by code; those that came."""
        found: dict[str, float] = {}
        for (name, labels), value in self.samples.items():
            if name == "adt_gateway_error_responses_total" and value:
                code = dict(labels)["error_code"]
                found[code] = found.get(code, 0.0) + value
        return found


@dataclass(slots=True)
class Gateway:
    """A running one."""

    process: asyncio.subprocess.Process
    log: Path
    data: int = 0
    admin: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def scrape(self) -> Scrape:
        """Read /metrics."""
        _, body = await fetch(self.admin, "/metrics")
        text = body.decode()
        samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        return Scrape(text, samples)

    def files(self) -> int:
        """Open files."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def threads(self) -> int:
        """Threads."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    async def tasks(self) -> int:
        """Tasks of the event loop; for a gateway that runs as `tests.stress.watched`."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise ValueError("this gateway was started without pipes")
        async with self._lock:
            stdin.write(b"tasks\n")
            return int(await stdout.readline())

    def lines(self) -> list[dict[str, Any]]:
        """The log so far."""
        texts = self.log.read_text(errors="replace").splitlines()
        return [json.loads(text) for text in texts if text.startswith("{") and text.endswith("}")]

    def faults(self) -> list[str]:
        """What the log says that is a bug of the gateway's: lines of level error, and what is no log line."""
        found = []
        with self.log.open(errors="replace") as log:
            for text in log:
                if text.startswith("{"):
                    bad = json.loads(text).get("level") in {"error", "critical"}
                else:
                    bad = not text.startswith("warning: ")
                if bad:
                    found.append(text.strip()[:300])
        return found

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for the end: the exit status, negative for a signal."""
        async with asyncio.timeout(_ENDS_WITHIN):
            return await self.process.wait()


@asynccontextmanager
async def gateway_process(
    settings: Mapping[str, str], *, cores: set[int], log: Path, ready: str, watched: bool
) -> AsyncIterator[Gateway]:
    """Up to the first 200 of `ready` on the admin listener; ended after the block. Raises NotReadyError."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    named = {
        name if name.startswith("OTEL_") else f"ADT_GATEWAY_{name}": value for name, value in settings.items()
    }
    environ = kept | named
    program = ("-m", "tests.stress.watched") if watched else ("-m", "gateway", "serve")
    pipe = asyncio.subprocess.PIPE if watched else asyncio.subprocess.DEVNULL
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, cwd=processes.ROOT, env=environ, stdin=pipe, stdout=pipe, stderr=output
        )
    gateway = Gateway(process, log)
    try:
        processes.pin(process.pid, cores)
        await _until_ready(gateway, ready, time.perf_counter() + READY_WITHIN)
        yield gateway
    finally:
        await _end(gateway)


async def _until_ready(gateway: Gateway, ready: str, deadline: float) -> None:
    while time.perf_counter() < deadline and gateway.process.returncode is None:
        if not gateway.data:
            listening = [line for line in gateway.lines() if line.get("message") == "listening"]
            for line in listening:
                gateway.data = int(line["data"].rpartition(":")[2])
                gateway.admin = int(line["admin"].rpartition(":")[2])
        elif (await fetch(gateway.admin, ready))[0] == 200:
            return
        await asyncio.sleep(0.01)
    raise NotReadyError(f"the gateway was not ready: {gateway.log.read_text(errors='replace')[-2000:]}")


async def _end(gateway: Gateway) -> None:
    if gateway.process.returncode is None:
        gateway.terminate()
        try:
            await gateway.ended()
        except TimeoutError:
            gateway.process.kill()
            await gateway.process.wait()
