"""What the emulator's tests share: a clock that is set by hand, and requests in short form."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gateway.emulator import EmulatorSettings, RunningEmulator

VERSION = "2023-10-31"
OPEN = EmulatorSettings(verify_tokens=False, rate_limit=None)
"""Neither tokens nor a rate."""


@dataclass
class ManualClock:
    """A clock that stands still until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, after checking that it has the documented form."""
    body: dict[str, Any] = response.json()
    assert set(body) == {"error"}
    assert body["error"]["message"]
    assert response.headers["x-ms-error-code"] == body["error"]["code"]
    return response.status_code, body["error"]["code"]


def import_body(url: str, name: str = "campus.ndjson") -> dict[str, str]:
    """An import job that reads and writes blobs of the emulator at `url`."""
    return {"inputBlobUri": f"{url}/blob/in/{name}", "outputBlobUri": f"{url}/blob/out/{name}.log"}


async def raw_exchange(url: str, request: bytes) -> bytes:
    """Everything the emulator sends on one connection until it closes it. Raises ConnectionResetError."""
    parts = httpx.URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until_arrived(running: RunningEmulator, http: httpx.AsyncClient) -> None:
    """Return once the emulator has noted a request. Raises TimeoutError after ten seconds without one."""
    async with asyncio.timeout(10):
        while not running.emulator.state.journal.entries:
            await http.get("/_emulator/requests")
