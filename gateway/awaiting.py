"""How long a connection is held for what has not come: a first head, the end of a head, the next request."""

import asyncio
import random

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway import failures
from gateway.afterwards import Afterwards
from gateway.config import Limits
from gateway.flow import Flow
from gateway.lingering import Lingering

_SPREAD = 0.1
"""Share by which a head may have longer: to refuse 500 at one moment held the event loop for 0.15 s."""
_LAST_HEAD = 0.5
"""Seconds for a head to come on a connection that was opened just before the listener closed."""


class Awaiting(HttpToolsProtocol):
    """A connection's two deadlines; `limits_` and `replies` are set by a subclass, see `crowd`."""

    # A 31st attribute in an instance's dictionary costs 1 KB: it is no longer shared with the class's others.
    __slots__ = ("_head_deadline", "_heard", "_idle_since")
    flow: Flow
    limits_: Limits
    replies: Afterwards[Lingering]
    """Connections of the listener on which the last of a response is to be written."""
    transport: Lingering
    _head_deadline: asyncio.TimerHandle | None
    _heard: bool
    """Whether any byte has come."""
    _idle_since: float | None
    """When the last response was complete, in the loop's time; None while a request has begun."""

    def shutdown(self) -> None:
        """Close where nothing is asked; a head that may be on its way has a moment to come."""
        if self._head_deadline is None:
            super().shutdown()
            return
        self._clear_head_deadline()
        self._head_deadline = self.loop.call_later(_LAST_HEAD, self._head_too_slow)

    def _await_head(self) -> None:
        longer = 1 + _SPREAD * random.random()  # noqa: S311 - nobody gains by foreseeing it
        self._head_deadline = self.loop.call_later(longer * self.limits_.head_timeout, self._head_too_slow)

    def _head_too_slow(self) -> None:
        self._head_deadline = None
        if self.flow.read_paused or self.flow.held:
            self._await_head()
        elif self._heard:
            self._refuse(
                failures.RequestTimeout("The request head did not come in time (limits.head_timeout).")
            )
        else:
            # Not one byte of a request came: there is nobody to be answered.
            self.transport.close()

    def _clear_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _await_request(self) -> None:
        self._idle_since = self.loop.time()
        # One timer for many requests: one is not made and cancelled for each.
        if self.timeout_keep_alive_task is None:
            self._look_again(self.timeout_keep_alive)

    def _look_again(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close what has been idle for long enough; what was idle for less has the rest of that time."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again(left)
        else:
            self.transport.close()

    def _refuse(self, failure: failures.GatewayError) -> None:
        raise NotImplementedError
