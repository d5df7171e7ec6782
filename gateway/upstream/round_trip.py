"""Deadlines around an engine, the same for every engine; a slot is held from the start to the close."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway import failures, headers
from gateway.deadline import Alarm, within
from gateway.exchange import RawHeaders
from gateway.upstream.slots import Slots

_STATUSES = range(200, 600)
_STATUSES_WITH_AN_END = range(200, 1000)
"""After a response with another status the connection may carry anything (RFC 9110, section 15.2.2)."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds each phase may take; see `upstream.timeout` in the configuration."""

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

    @property
    def upload(self) -> Upload | None:
        """The body, where it is still coming."""
        return None if self.body is None or isinstance(self.body, bytes) else self.body

    def check_target(self) -> None:
        """Raise RequestInvalid unless the target is a path: put behind an origin, only that keeps the origin.

        `http://origin:80` and `@elsewhere/` are a URL of elsewhere; a proxy is told both as one.
        """
        if not self.target.startswith(b"/"):
            raise failures.RequestInvalid("The request target leads to another origin.")

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


class EngineResponse(Response, Protocol):
    """A response as an engine hands it over, not judged yet."""

    async def discard(self) -> None:
        """Close, and let nobody use the connection again: what else it carries is in doubt."""


class Engine(Protocol):
    """An HTTP client that adds nothing, follows nothing, decodes nothing and keeps no cookies."""

    name: str

    async def send(self, request: Outbound) -> EngineResponse:
        """Send and wait for the final response head.

        Raises UpstreamUnreachable only on evidence that nothing was sent; KeptConnectionLost only where a
        connection may have been kept for it; UpstreamConnectionLost, BadUpstreamResponse or RequestInvalid
        otherwise.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class Upstream:
    """The upstream as the story sees it: one verb, `round_trip`."""

    def __init__(self, engine: Engine, *, slots: Slots, uploads: Slots, deadlines: Deadlines) -> None:
        """A streamed upload takes one of `uploads` as well: those that come slowly shall not hold all."""
        self.engine = engine
        self.slots = slots
        self._uploads = uploads
        self._deadlines = deadlines

    async def round_trip(
        self, request: Outbound, *, query: bool = False, longest: float = math.inf
    ) -> Response:
        """Send the request and wait for the response head; `query` grants the longer time of POST /query.

        All of it takes at most `longest` seconds. Raises Overloaded when no slot became free,
        UpstreamTimeout, and what the engine raises.
        """
        loop = asyncio.get_running_loop()
        over = loop.time() + longest
        held: list[Slots] = []
        try:
            for slots in (self.slots,) if request.upload is None else (self._uploads, self.slots):
                await slots.take(over - loop.time())
                held.append(slots)
            response = await self._send(request, query=query, longest=over - loop.time())
        except BaseException:
            for slots in held:
                slots.give_back(request.leftover)
            raise
        return _Slotted(response, held, self._deadlines.read_idle)

    async def _send(self, request: Outbound, *, query: bool, longest: float) -> Response:
        times = self._deadlines
        total = min(times.head_total, longest)
        first_byte = times.query_first_byte if query else times.first_byte
        upload = request.upload
        start = total if upload else min(first_byte, total)
        rearm = None
        try:
            with Alarm(start) as alarm:
                if upload is not None:
                    over = asyncio.get_running_loop().time() + total
                    rearm = asyncio.ensure_future(_rearm(alarm, upload.finished, first_byte, over))
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


async def _rearm(alarm: Alarm, finished: asyncio.Event, first_byte: float, over: float) -> None:
    """Count `first_byte` from the end of an upload; on the loop's clock all is over at `over`."""
    await finished.wait()
    alarm.move(min(first_byte, over - asyncio.get_running_loop().time()))


async def _checked(response: EngineResponse) -> Response:
    problem = headers.response_problem(response.headers)
    if problem is None and response.status not in _STATUSES:
        problem = "a status outside 200 to 599"
    if problem is None:
        return response
    if headers.framing_problem(response.headers) is None and response.status in _STATUSES_WITH_AN_END:
        await response.aclose()
    else:
        await response.discard()
    raise failures.BadUpstreamResponse(f"The upstream's response is ambiguous: {problem}.")


class _Slotted:
    """A response that frees its slots when it is closed, and that does not wait for ever for a piece."""

    __slots__ = ("_idle", "_response", "_slots", "headers", "status")

    def __init__(self, response: Response, slots: Sequence[Slots], idle: float) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._slots = slots
        self._idle = idle

    async def read(self) -> bytes | None:
        try:
            return await within(self._idle, self._response.read())
        except TimeoutError:
            raise failures.UpstreamTimeout("The upstream stopped sending its response.") from None

    async def aclose(self) -> None:
        held, self._slots = self._slots, ()
        if not held:
            return
        try:
            await self._response.aclose()
        finally:
            for slots in held:
                slots.give_back()
