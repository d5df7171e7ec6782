"""The emulator of ADT, whose Jobs API takes one request a second, as a process; when requests came to it."""

import asyncio
import bisect
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.stress.client import connect, request_bytes
from tests.stress.stage import Process, Stage

WINDOW = 10.0
"""Seconds in which the upstream's requests are counted."""
VERSION = "api-version=2023-10-31"
_FILE = b"""\
{"Section": "Header"}
{"fileVersion": "1.0.0", "author": "stress", "organization": "stress"}
{"Section": "Models"}
{"@id": "dtmi:stress:Room;1", "@type": "Interface", "@context": "dtmi:dtdl:context;3"}
"""
_EVERY = 30.0
"""Seconds after which the journal is read again; it holds 1,000 requests."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request to the Jobs API."""

    at: float
    method: str
    target: str
    status: int | None


@dataclass(slots=True)
class Azure:
    """A running emulator."""

    process: Process
    arrivals: list[Arrival] = field(default_factory=list)
    """Since `begin`, in the order in which they came."""
    _number: int = 0

    async def send(self, method: str, target: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON of one request, past all gateways."""
        status, answer = await send(self.process.port, method, target, body)
        return status, json.loads(answer) if answer else None

    @property
    def blob(self) -> str:
        """Where the import file is."""
        return f"http://127.0.0.1:{self.process.port}/blob/stress/rooms.ndjson"

    def wanted(self, name: str) -> bytes:
        """The body that creates an import."""
        uri = f"http://127.0.0.1:{self.process.port}/blob/stress"
        return json.dumps({"inputBlobUri": self.blob, "outputBlobUri": f"{uri}/{name}.log"}).encode()

    async def have(self, ended: int, *, lasts: float) -> list[str]:
        """So many imports that have ended; their ids. A job that is created later lasts so many seconds."""
        free = {"rate_limit": None, "verify_tokens": False, "job_start_seconds": 0.0, "job_seconds": 0.0}
        await self._set(free)
        await self.send("PUT", "/blob/stress/rooms.ndjson", _FILE)
        names = [f"past-{number}" for number in range(ended)]
        for name in names:
            status, _ = await self.send("PUT", f"/jobs/imports/{name}?{VERSION}", self.wanted(name))
            if status != 201:
                raise OSError(f"the emulator created no job: {status}")
            await self.send("GET", f"/jobs/imports/{name}?{VERSION}")
        await self._set({"rate_limit": 1.0, "job_start_seconds": min(1.0, lasts / 4), "job_seconds": lasts})
        return names

    async def _set(self, changes: dict[str, Any]) -> None:
        status, told = await self.send("POST", "/_emulator/settings", json.dumps(changes).encode())
        if status != 200:
            raise OSError(f"the emulator does not take its settings: {told}")

    async def begin(self) -> None:
        """Forget what came so far."""
        await self.send("DELETE", "/_emulator/requests")
        self.arrivals.clear()
        self._number = 0

    async def look(self) -> None:
        """Read what came since."""
        _, told = await self.send("GET", "/_emulator/requests")
        new = [each for each in told["requests"] if each["number"] > self._number]
        if new and new[0]["number"] != self._number + 1:
            raise OSError("the emulator's journal was read too late")
        for each in new:
            self._number = each["number"]
            if each["target"].startswith("/jobs/"):
                at = datetime.fromisoformat(each["time"]).timestamp()
                self.arrivals.append(Arrival(at, each["method"], each["target"], each["status"]))

    async def keep_looking(self) -> None:
        """Without end, so that nothing is missed."""
        while True:
            await asyncio.sleep(_EVERY)
            await self.look()

    def refused(self) -> int:
        """Requests that came too early for the emulator."""
        return sum(each.status == 429 for each in self.arrivals)


def busiest(times: Sequence[float], seconds: float = WINDOW) -> int:
    """The most of these times, which ascend, that lie in one window; its end does not belong to it."""
    return max(
        (bisect.bisect_left(times, at + seconds) - number for number, at in enumerate(times)), default=0
    )


async def send(port: int, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own. Raises OSError or TimeoutError."""
    async with asyncio.timeout(60):
        app = await connect(port)
        try:
            answer = await app.ask(request_bytes(port, target, method, body=body))
        finally:
            app.transport.close()
    return answer.status, bytes(app.body)


@asynccontextmanager
async def emulator(stage: Stage) -> AsyncIterator[Azure]:
    """`adt-gateway emulator` on the load's cores."""
    async with stage.running("gateway", "emulator", "--port", "0") as process:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise OSError(f"the emulator says nothing of its port: {line!r}")
        azure = Azure(Process(process, int(found[1])))
        looking = asyncio.ensure_future(azure.keep_looking())
        try:
            yield azure
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
