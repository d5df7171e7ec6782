"""Deadlines around an engine, the same for every engine; a slot is held from the start to the close."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NoReturn, Protocol

from gateway import failures, headers
from gateway.deadline import Alarm
from gateway.exchange import RawHeaders
from gateway.upstream.response import Response
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
    authorization: str | None = None
    """Kept apart from the other headers: the engine adds it after it has checked the final origin."""
    leftover: asyncio.Future[None] | None = None
    """Set by an engine that cannot stop a request that was given up: done when it is over."""

    @property
    def upload(self) -> Upload | None:
        """The body, where it is still coming."""
        return None if self.body is None or isinstance(self.body, bytes) else self.body

    def __repr__(self) -> str:
        return f"Outbound({self.method}, {len(self.headers)} headers)"


def check_target(target: bytes) -> None:
    """Raise RequestInvalid unless the target is a path: put behind an origin, only that keeps the origin.

    `http://origin:80` and `@elsewhere/` are a URL of elsewhere; a proxy is told both as one.
    """
    if not target.startswith(b"/"):
        raise failures.RequestInvalid("The request target leads to another origin.")


class Engine(Protocol):
    """An HTTP client that adds nothing, follows nothing, decodes nothing and keeps no cookies."""

    name: str

    async def send(self, request: Outbound) -> Response:
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
        self._for_any = (slots,)
        self._for_uploads = (uploads, slots)
        self._deadlines = deadlines

    async def round_trip(
        self, request: Outbound, *, query: bool = False, longest: float = math.inf
    ) -> Response:
        """Send the request and wait for the response head; `query` grants the longer time of POST /query.

        All of it takes at most `longest` seconds. Raises Overloaded when no slot became free,
        UpstreamTimeout, and what the engine raises.
        """
        times = self._deadlines
        upload = None if request.body is None else request.upload
        wanted = self._for_any if upload is None else self._for_uploads
        if upload is not None or not self.slots.take_free():
            longest = await _take(wanted, longest)
        try:
            first_byte = times.query_first_byte if query else times.first_byte
            try:
                if upload is None:
                    with Alarm(min(first_byte, times.head_total, longest)):
                        response = await self.engine.send(request)
                else:
                    total = min(times.head_total, longest)
                    response = await self._send_upload(request, upload.finished, first_byte, total)
            except TimeoutError:
                raise failures.UpstreamTimeout("The upstream did not answer in time.") from None
            problem = headers.response_problem(response.headers)
            if problem is not None or response.status not in _STATUSES:
                await _refuse(response, problem)
        except BaseException:
            for slots in wanted:
                slots.give_back(request.leftover)
            raise
        response.held, response.idle = wanted, times.read_idle
        return response

    async def _send_upload(
        self, request: Outbound, finished: asyncio.Event, first_byte: float, total: float
    ) -> Response:
        over = asyncio.get_running_loop().time() + total
        with Alarm(total) as alarm:
            rearm = asyncio.ensure_future(_rearm(alarm, finished, first_byte, over))
            try:
                return await self.engine.send(request)
            finally:
                rearm.cancel()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.engine.aclose()


async def _rearm(alarm: Alarm, finished: asyncio.Event, first_byte: float, over: float) -> None:
    """Count `first_byte` from the end of an upload; on the loop's clock all is over at `over`."""
    await finished.wait()
    alarm.move(min(first_byte, over - asyncio.get_running_loop().time()))


async def _take(wanted: tuple[Slots, ...], longest: float) -> float:
    """Take one of each; the seconds that are left of `longest` then."""
    loop = asyncio.get_running_loop()
    over = loop.time() + longest
    taken = 0
    try:
        for slots in wanted:
            await slots.take(over - loop.time())
            taken += 1
    except BaseException:
        for slots in wanted[:taken]:
            slots.give_back()
        raise
    return over - loop.time()


async def _refuse(response: Response, problem: str | None) -> NoReturn:
    """Close, and say what is wrong: by default, that the status is none that can be relayed."""
    certain = headers.response_problem(response.headers, limited=False) is None
    if certain and response.status in _STATUSES_WITH_AN_END:
        closing = response.finish()
        if closing is not None:
            await closing
    else:
        await response.discard()
    raise failures.BadUpstreamResponse(
        f"The upstream's response is ambiguous: {problem or 'a status outside 200 to 599'}."
    )
