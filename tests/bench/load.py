"""Many connections, each with one request under way at a time; a process of its own.

    python -m tests.bench.load PORT CONNECTIONS SECONDS TARGET

prints {"requests", "failures", "seconds", "p50", "p99"} as JSON, times in seconds.
"""

import asyncio
import json
import statistics
import sys
import time
from typing import Any, cast

import httptools
import uvloop

from tests.bench.client import request_bytes


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, request: bytes, until: float) -> None:
        self.times: list[float] = []
        self.failures = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._parser: Any = None
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self.ended.done():
            self.failures += 1
            self.ended.set_result(None)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        if self._parser.get_status_code() == 200:
            self.times.append(now - self._began)
        else:
            self.failures += 1
        if now < self._until:
            self._ask()
        else:
            self.ended.set_result(None)
            self.transport.close()

    def _ask(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._began = time.perf_counter()
        self.transport.write(self._request)


async def load(port: int, connections: int, seconds: float, target: str) -> dict[str, float]:
    """Ask for `seconds` over `connections`."""
    loop = asyncio.get_running_loop()
    request = request_bytes(port, target)
    began = time.perf_counter()
    opened = [
        (await loop.create_connection(lambda: _Connection(request, began + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(each.ended for each in opened))
    took = time.perf_counter() - began
    times = [each for one in opened for each in one.times]
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
    return {
        "requests": len(times),
        "failures": sum(one.failures for one in opened),
        "seconds": took,
        "p50": cuts[49],
        "p99": cuts[98],
    }


def main() -> None:
    """The command line above."""
    port, connections, seconds, target = sys.argv[1:]
    json.dump(uvloop.run(load(int(port), int(connections), float(seconds), target)), sys.stdout)


if __name__ == "__main__":
    main()
