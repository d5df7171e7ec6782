"""Apps that poll jobs once a second, each on a connection of its own; a process of its own.

    python -m tests.bench.pollers PORT APPS JOBS SECONDS

App number n polls job n % JOBS. Prints a JSON list of [status, seconds it took, when it came in seconds since
the epoch, x-ms-request-id, whether it was a kept answer] per answer. An app that waits longer than a second
polls again at once.
"""

import asyncio
import json
import sys
import time
from typing import Any, cast

import httptools
import uvloop

from tests.bench.client import request_bytes

Sample = tuple[int, float, float, str, bool]
_ANSWERED_WITHIN = 60.0


class _App(asyncio.Protocol):
    """One connection; `ask` sends, `done` is set by the answer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.done: asyncio.Future[int] | None = None
        self.request_id = ""
        self.kept = False
        self._parser: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(exc or ConnectionError("the connection was closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-ms-request-id":
            self.request_id = value.decode()
        if name.lower() == b"cache-status":
            self.kept = b"hit" in value

    def on_message_complete(self) -> None:
        if self.done is not None:
            self.done.set_result(self._parser.get_status_code())

    async def ask(self, request: bytes) -> Sample:
        self._parser = httptools.HttpResponseParser(self)
        self.request_id, self.kept = "", False
        self.done = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.transport.write(request)
        status = await self.done
        return status, time.perf_counter() - began, time.time(), self.request_id, self.kept


async def _poll(port: int, job: int, first: float, until: float) -> list[Sample]:
    loop = asyncio.get_running_loop()
    _, app = await loop.create_connection(_App, "127.0.0.1", port)
    request = request_bytes(port, f"/jobs/imports/{job}?api-version=2023-10-31")
    samples = []
    due = first
    while due < until:
        await asyncio.sleep(due - loop.time())
        samples.append(await app.ask(request))
        due = max(due + 1, loop.time())
    app.transport.close()
    return samples


async def poll(port: int, apps: int, jobs: int, seconds: float) -> list[Sample]:
    """All answers of `apps` apps that poll for `seconds`, their first polls spread over a second."""
    start = asyncio.get_running_loop().time() + 0.5
    async with asyncio.timeout(seconds + _ANSWERED_WITHIN):
        each = await asyncio.gather(
            *(_poll(port, number % jobs, start + number / apps, start + seconds) for number in range(apps))
        )
    return [sample for samples in each for sample in samples]


def main() -> None:
    """The command line above."""
    port, apps, jobs, seconds = sys.argv[1:]
    json.dump(uvloop.run(poll(int(port), int(apps), int(jobs), float(seconds))), sys.stdout)


if __name__ == "__main__":
    main()
