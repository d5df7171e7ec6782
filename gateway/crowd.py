"""How many connections a listener holds, and how little each of them keeps while nothing is asked on it.

Where there are too many, one without a request under way makes room: whichever has been so for longest, so
that whoever opens connections and leaves them, or sends half a head, keeps nobody else out.
"""

import asyncio
import logging
import sys
from collections import OrderedDict
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway import failures
from gateway.config import Limits, Settings
from gateway.protocol import StrictProtocol

_TOLD = 64
"""Connections beyond the bound that may be told so at once; more are cut without a word."""
_OTHER_FILES = 192
"""Files for the admin listener's connections, the jobs store, the log, token and trace requests, and more."""
_log = logging.getLogger("gateway.crowd")


def room(settings: Settings) -> int:
    """How many connections of apps to hold: `limits.connections`, or what the open files allowed leave."""
    wanted = settings.limits.connections
    files = _files()
    if files is None:
        return wanted
    # Two for each round trip, one of them of a request that was given up, and one that is kept idle.
    others = 3 * settings.upstream.max_connections + _OTHER_FILES
    held = min(wanted, max(files - others, files // 4))
    if held < wanted:
        _log.warning(
            "fewer connections than limits.connections are held: too few open files are allowed",
            extra={"connections": held, "files": files},
        )
    return held


def _files() -> int | None:
    """Files this process may open; None where there is no such limit."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if files == resource.RLIM_INFINITY else files


def bounded_protocol(limits: Limits, most: int, *, newest_first: bool = False) -> type["BoundedProtocol"]:
    """The strict protocol for a listener that holds at most `most` connections.

    Where each has a request under way the newest gets 503, or with `newest_first` the oldest is cut for it:
    a probe must get in whatever the others do.
    """

    class Bound(BoundedProtocol):
        limits_ = limits
        crowd = Crowd(most, newest_first=newest_first)

    return Bound


class Crowd:
    """The connections of one listener, those without a request under way in the order of becoming so."""

    def __init__(self, most: int, *, newest_first: bool) -> None:
        self._most = most
        self._newest_first = newest_first
        self._waiting: OrderedDict[BoundedProtocol, None] = OrderedDict()
        self._busy: OrderedDict[BoundedProtocol, None] = OrderedDict()

    def join(self, newest: "BoundedProtocol") -> None:
        """Take a new connection in, and see to it that there are not too many."""
        held = len(self._waiting) + len(self._busy)
        if held >= self._most:
            if self._waiting:
                self._waiting.popitem(last=False)[0].cut()
            elif self._newest_first:
                self._busy.popitem(last=False)[0].cut()
            elif held >= self._most + _TOLD:
                newest.cut()
                return
            else:
                newest.turn_away()
                return
        self._waiting[newest] = None

    def leave(self, one: "BoundedProtocol") -> None:
        """Forget a connection that is gone."""
        self._waiting.pop(one, None)
        self._busy.pop(one, None)

    def begin(self, one: "BoundedProtocol") -> None:
        """A request is under way on it."""
        self._waiting.pop(one, None)
        self._busy[one] = None

    def end(self, one: "BoundedProtocol") -> None:
        """It waits for its next request."""
        if self._busy.pop(one, _GONE) is not _GONE:
            self._waiting[one] = None


_GONE = object()


class BoundedProtocol(StrictProtocol):
    """One connection of a listener that holds only so many."""

    crowd: Crowd

    def connection_made(self, transport: Any) -> None:
        """Make room for it, or refuse it."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self.pipeline = _Pipeline()  # type: ignore[assignment]  # of a deque only what a list has is used
        self.crowd.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.crowd.leave(self)
        super().connection_lost(exc)

    def turn_away(self) -> None:
        """Say that there are too many, before anything was asked."""
        self._refuse(
            failures.Overloaded("Too many connections are open (limits.connections).", retry_after=1)
        )

    def cut(self) -> None:
        """End it now; what is still buffered belongs to somebody who does not read."""
        self.connections.discard(self)
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Keep nothing of a request that is over."""
        super().on_response_complete()
        cycle = self.cycle
        if cycle.response_complete and not self.transport.is_closing():
            self.crowd.end(self)
            if not cycle.more_body:
                self.cycle = self.scope = self.headers = None  # type: ignore[assignment]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.crowd.begin(self)
        super()._start_asgi_task(cycle, app)


class _Flow(FlowControl):
    """uvicorn's, but an event is made only for who has to wait: an idle one is 0.8 KB."""

    __slots__ = ("_transport", "_writable", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._writable: asyncio.Event | None = None
        self.read_paused = False
        self.write_paused = False

    async def drain(self) -> None:
        if self.write_paused:
            self._writable = self._writable or asyncio.Event()
            await self._writable.wait()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set()


class _Pipeline(list[Any]):
    """Requests that wait; an empty deque is 0.8 KB, and there are at most 64 of them."""

    __slots__ = ()

    def appendleft(self, item: Any) -> None:
        self.insert(0, item)
