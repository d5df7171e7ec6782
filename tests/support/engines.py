"""The upstream room opened on any engine, for tests that run on all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.config import Upstream as UpstreamSettings
from gateway.exchange import RawHeaders
from gateway.upstream import Outbound, Response, Upstream, open_upstream
from tests.support.faults import STALL

ENGINES = ("pyreqwest", "asyncio", "httpx")
keeping_engines = pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "httpx"])
"""For what only those do that use a connection for several requests."""
every_engine = pytest.mark.parametrize("engine", ENGINES)


@asynccontextmanager
async def opened(engine: str, origin: str, **settings: Any) -> AsyncIterator[Upstream]:
    """An upstream of that engine; settings as in the section `upstream` of the configuration."""
    section = UpstreamSettings.model_validate({"base_url": origin, "engine": engine, **settings})
    upstream = open_upstream(section, origin=origin, version="0")
    try:
        yield upstream
    finally:
        await upstream.aclose()


def outbound(
    target: bytes = b"/",
    method: str = "GET",
    *,
    headers: RawHeaders | None = None,
    body: "bytes | Upload | None" = None,
    authorization: str | None = None,
) -> Outbound:
    """A request with a Host and, unless they are given, the fields that an engine may add by itself."""
    pairs = headers if headers is not None else [(b"accept", b"*/*"), (b"user-agent", b"test")]
    return Outbound(method, target, [(b"host", b"upstream.test"), *pairs], body, authorization)


async def read_all(response: Response) -> bytes:
    """The whole body; the response is closed after."""
    pieces = []
    try:
        while (piece := await response.read()) is not None:
            pieces.append(piece)
    finally:
        await response.aclose()
    return b"".join(pieces)


async def fetch(
    upstream: Upstream, request: Outbound | None = None, *, query: bool = False
) -> tuple[int, RawHeaders, bytes]:
    """One whole round trip: status, headers, body."""
    response = await upstream.round_trip(request or outbound(), query=query)
    return response.status, response.headers, await read_all(response)


class Upload:
    """A streamed request body of `pieces` pieces of 64 KiB, that tells how much of it was asked for."""

    def __init__(
        self, pieces: int, *, piece: bytes = b"u" * 65_536, failure: Exception | None = None
    ) -> None:
        self.finished = asyncio.Event()
        self.pulled = 0
        """Bytes handed out so far."""
        self._asked = asyncio.Event()
        self._pieces = pieces
        self._piece = piece
        self._failure = failure

    async def held_up(self) -> None:
        """Wait until no further piece is asked for (for `STALL` seconds)."""
        while not self.finished.is_set():
            self._asked.clear()
            try:
                async with asyncio.timeout(STALL):
                    await self._asked.wait()
            except TimeoutError:
                return

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            self._asked.set()
            self.pulled += len(self._piece)
            yield self._piece
        if self._failure is not None:
            raise self._failure
        self.finished.set()
