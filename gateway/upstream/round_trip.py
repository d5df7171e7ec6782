"""Slots and deadlines around an engine, the same for every engine.

The gateway keeps its own slots in front of the engine, so that nothing ever queues inside an engine's pool:
httpcore loses a pool slot for good when a request is cancelled while it waits there (httpcore issue 1093).
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from gateway import failures, headers
from gateway.deadline import within
from gateway.exchange import RawHeaders

_STATUSES = range(200, 600)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds each phase may take; see `upstream.timeout` in the configuration."""

    pool: float
    first_byte: float
    query_first_byte: float
    head_total: float
    read_idle: float


class Upload(Protocol):
    """A request body that is still coming from the app."""

    finished: asyncio.Event
    """Set once the last piece was handed on."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


@dataclass(slots=True)
class Outbound:
    """One request as it goes out; the target is byte for byte what the app sent."""

    method: str
    target: bytes
    headers: RawHeaders
    body: bytes | Upload | None
    authorization: bytes | None = None
    """Kept apart from the other headers: the engine adds it after it has checked the final origin."""
    leftover: asyncio.Future[None] | None = None
    """Set by an engine that cannot stop a request that was given up: done when it is over."""

    def __repr__(self) -> str:
        return f"Outbound({self.method}, {len(self.headers)} headers)"


class Response(Protocol):
    """A response whose head has arrived."""

    status: int
    headers: RawHeaders

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its proper end; raises UpstreamConnectionLost when cut."""

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end; may be repeated."""


class Engine(Protocol):
    """An HTTP client that adds nothing, follows nothing, decodes nothing and keeps no cookies."""

    name: str
    keeps_connections: bool
    """Whether a request may go out on a connection that was used before, and may have died since."""

    async def send(self, request: Outbound) -> Response:
        """Send and wait for the final response head.

        Raises UpstreamUnreachable only on evidence that nothing was sent; UpstreamConnectionLost,
        BadUpstreamResponse or RequestInvalid otherwise.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class Upstream:
    """The upstream as the story sees it: one verb, `round_trip`."""

    def __init__(self, engine: Engine, *, slots: int, deadlines: Deadlines) -> None:
        self.engine = engine
        self._slots = asyncio.Semaphore(slots)
        self._spare = slots
        self._deadlines = deadlines

    async def round_trip(self, request: Outbound, *, query: bool = False) -> Response:
        """Send the request and wait for the response head; `query` grants the longer time of POST /query.

        Raises Overloaded when no slot became free, UpstreamTimeout, and what the engine raises.
        """
        await self._take_slot()
        try:
            response = await self._send(request, query=query)
        except BaseException:
            self._give_back(request.leftover)
            raise
        return _Slotted(response, self._slots, self._deadlines.read_idle)

    def _give_back(self, leftover: asyncio.Future[None] | None) -> None:
        """Free the slot of a request that failed or was given up.

        Requests that run on by themselves are no reason to refuse others, up to as many as there are slots;
        beyond that each keeps its slot to its end, so that connections are at most twice the slots.
        """
        if leftover is None:
            self._slots.release()
        elif self._spare > 0:
            self._spare -= 1
            self._slots.release()
            leftover.add_done_callback(self._spare_again)
        else:
            leftover.add_done_callback(lambda _: self._slots.release())

    def _spare_again(self, _: asyncio.Future[None]) -> None:
        self._spare += 1

    async def _take_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._deadlines.pool):
                await self._slots.acquire()
        except TimeoutError:
            raise failures.Overloaded(
                "Every upstream connection is in use (upstream.max_connections)."
            ) from None

    async def _send(self, request: Outbound, *, query: bool) -> Response:
        times = self._deadlines
        first_byte = times.query_first_byte if query else times.first_byte
        upload = None if request.body is None or isinstance(request.body, bytes) else request.body
        start = times.head_total if upload else min(first_byte, times.head_total)
        rearm = None
        try:
            async with asyncio.timeout(start) as timer:
                if upload is not None:
                    rearm = asyncio.ensure_future(_rearm(timer, upload.finished, first_byte))
                response = await self.engine.send(request)
        except TimeoutError:
            raise failures.UpstreamTimeout("The upstream did not answer in time.") from None
        finally:
            if rearm is not None:
                rearm.cancel()
        return await _checked(response)

    async def aclose(self) -> None:
        """Close every connection."""
        await self.engine.aclose()


async def _rearm(timer: asyncio.Timeout, finished: asyncio.Event, first_byte: float) -> None:
    """Count `first_byte` from the end of an upload, within the deadline that already runs."""
    await finished.wait()
    limit = asyncio.get_running_loop().time() + first_byte
    if timer.when() is not None and limit < (timer.when() or limit):
        timer.reschedule(limit)


async def _checked(response: Response) -> Response:
    problem = headers.response_problem(response.headers)
    if problem is None and response.status not in _STATUSES:
        problem = "a status outside 200 to 599"
    if problem is not None:
        await response.aclose()
        raise failures.BadUpstreamResponse(f"The upstream's response is ambiguous: {problem}.")
    return response


class _Slotted:
    """A response that frees its slot when it is closed, and that does not wait for ever for a piece."""

    __slots__ = ("_idle", "_response", "_slots", "headers", "status")

    def __init__(self, response: Response, slots: asyncio.Semaphore, idle: float) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._slots: asyncio.Semaphore | None = slots
        self._idle = idle

    async def read(self) -> bytes | None:
        try:
            return await within(self._idle, self._response.read())
        except TimeoutError:
            raise failures.UpstreamTimeout("The upstream stopped sending its response.") from None

    async def aclose(self) -> None:
        slots, self._slots = self._slots, None
        if slots is None:
            return
        try:
            await self._response.aclose()
        finally:
            slots.release()
