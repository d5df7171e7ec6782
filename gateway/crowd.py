"""How many connections a listener holds, and how little each of them keeps while nothing is asked on it.

Where there are too many, one without a request under way makes room: first one that is being closed, then
whichever has been so for longest. So whoever opens connections and leaves them, does not finish a TLS
handshake, sends half a head, or goes on sending after a refusal, keeps nobody else out. One that has not
taken its answer yet is not cut for a newcomer.
"""

import asyncio
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from itertools import chain
from typing import Any

from gateway import failures
from gateway.afterwards import Afterwards, each
from gateway.config import Limits, Settings
from gateway.handshakes import Counted
from gateway.lingering import Lingering
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
        replies = Afterwards(_send_kept)
        crowd = Crowd(most, newest_first=newest_first)

    return Bound


def _send_kept(replies: list[Lingering]) -> None:
    each(Lingering.send_kept, replies)


class Crowd:
    """The connections of one listener, each sort in the order of becoming so."""

    def __init__(self, most: int, *, newest_first: bool) -> None:
        self._most = most
        self._newest_first = newest_first
        self._closing: OrderedDict[BoundedProtocol, None] = OrderedDict()
        self._waiting: OrderedDict[BoundedProtocol, None] = OrderedDict()
        self._busy: OrderedDict[BoundedProtocol, None] = OrderedDict()

    def join(self, newest: "BoundedProtocol") -> None:
        """Take a new connection in, and see to it that there are not too many.

        One with TLS comes twice: when it is accepted, and after its handshake.
        """
        self.leave(newest)
        while (held := len(self._closing) + len(self._waiting) + len(self._busy)) >= self._most:
            spare = self._spare()
            if spare is not None:
                self.leave(spare)
                spare.cut()
            elif held >= self._most + _TOLD:
                newest.cut()
                return
            else:
                self._closing[newest] = None
                newest.turn_away()
                return
        self._waiting[newest] = None

    def _spare(self) -> "BoundedProtocol | None":
        """Whichever is to make room; None where that would be in vain, or would cost somebody an answer."""
        idle = (one for one in chain(self._closing, self._waiting) if not one.unsent)
        if self._newest_first:
            return next(chain(idle, self._busy, self._closing, self._waiting))
        return next(idle, None) if len(self._busy) < self._most else None

    def leave(self, one: "BoundedProtocol") -> None:
        """Forget a connection that is gone."""
        self._closing.pop(one, None)
        self._waiting.pop(one, None)
        self._busy.pop(one, None)

    def begin(self, one: "BoundedProtocol") -> None:
        """A request is under way on it."""
        if self._waiting.pop(one, _GONE) is _GONE:  # one that is told to go, or has the next one pipelined
            self.leave(one)
        self._busy[one] = None

    def end(self, one: "BoundedProtocol") -> None:
        """It waits for its next request."""
        if self._busy.pop(one, _GONE) is not _GONE:
            self._waiting[one] = None

    def close(self, one: "BoundedProtocol") -> None:
        """Nothing more is to come on it, though its peer may not have closed it yet."""
        if one in self._busy or one in self._waiting:
            self.leave(one)
            self._closing[one] = None


_GONE = object()


class BoundedProtocol(StrictProtocol, Counted):
    """One connection of a listener that holds only so many."""

    __slots__ = ("_give_up",)
    crowd: Crowd

    def accepted(self, give_up: Callable[[], object]) -> None:
        """Count it while its handshake is under way, which `give_up` ends."""
        self._give_up = give_up
        self.crowd.join(self)

    def shaken(self) -> None:
        """Forget it where its handshake failed."""
        if self._in_handshake:
            self.crowd.leave(self)

    def connection_made(self, transport: Any) -> None:
        """Make room for it, or refuse it."""
        super().connection_made(transport)
        self.pipeline = _Pipeline()  # type: ignore[assignment]  # of a deque only what a list has is used
        self.crowd.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.crowd.leave(self)
        super().connection_lost(exc)

    @property
    def unsent(self) -> bool:
        """Whether some of its last answer is not sent yet."""
        if self._in_handshake:
            return False
        # What TLS has handed on is in no buffer that it tells of; it waits only where the kernel is behind.
        behind = self.scheme == "https" and _queued(self.transport)
        return self.transport.get_write_buffer_size() > 0 or bool(behind)

    @property
    def _in_handshake(self) -> bool:
        return not self.transport  # uvicorn has none until then

    def turn_away(self) -> None:
        """Say that there are too many, before anything was asked; a handshake has to end before."""
        if not self._in_handshake:
            self._refuse(
                failures.Overloaded("Too many connections are open (limits.connections).", retry_after=1)
            )

    def cut(self) -> None:
        """End it now."""
        if self._in_handshake:
            self._give_up()
            return
        self.connections.discard(self)
        self.transport.abort()

    def _ends(self) -> None:
        self.crowd.end(self)

    def _drop(self) -> None:
        super()._drop()
        self.crowd.close(self)

    def _begins(self) -> None:
        self.crowd.begin(self)


def _queued(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has yet to send, or whose receipt it awaits; 0 where it does not tell."""
    if sys.platform == "win32":
        return 0
    import fcntl  # noqa: PLC0415 - not on Windows
    import termios  # noqa: PLC0415 - not on Windows

    try:
        told = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int.from_bytes(told, sys.byteorder)


class _Pipeline(list[Any]):
    """Requests that wait; an empty deque is 0.8 KB, and there are at most 64 of them."""

    __slots__ = ()

    def appendleft(self, item: Any) -> None:
        self.insert(0, item)
