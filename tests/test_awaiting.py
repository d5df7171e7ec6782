"""What a connection is held for: its deadlines, by a clock that goes when it is told to."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gateway.arrival import REFUSAL, Receive, Scope, Send
from gateway.config import Limits
from gateway.crowd import bounded_protocol

KEEP_ALIVE = 5
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Timer:
    """A call at a time."""

    def __init__(self, when: float, call: Callable[[], object]) -> None:
        self.when = when
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Call nothing."""
        self.cancelled = True


class Clock:
    """What a connection asks of its loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        """Seconds."""
        return self.now

    def call_later(self, seconds: float, call: Callable[..., object], *args: object) -> Timer:
        """Call it when the clock has come so far."""
        timer = Timer(self.now + seconds, lambda: call(*args))
        self.timers.append(timer)
        return timer

    def create_task(self, work: Any) -> asyncio.Task[None]:
        """In the test's loop."""
        return asyncio.get_running_loop().create_task(work)

    @property
    def pending(self) -> list[Timer]:
        """What is still to be called."""
        return [timer for timer in self.timers if not timer.cancelled]

    def reach(self, when: float) -> None:
        """Go on to that second, and call what is due by then."""
        while due := [timer for timer in self.pending if timer.when <= when]:
            first = min(due, key=lambda timer: timer.when)
            self.timers.remove(first)
            self.now = first.when
            first.call()
        self.now = when


class Wire(asyncio.Transport):
    """A transport that is closed at once."""

    closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send it."""

    def close(self) -> None:
        """End."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.closed

    def get_write_buffer_size(self) -> int:
        """All of it is sent."""
        return 0

    def can_write_eof(self) -> bool:
        """It ends at once."""
        return False


class Connected:
    """A connection with an application that answers when it may."""

    def __init__(self) -> None:
        self.clock, self.wire, self.state = Clock(), Wire(), ServerState()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.refusals: list[object] = []
        config = uvicorn.Config(
            self._answer, interface="asgi3", timeout_keep_alive=KEEP_ALIVE, log_config=None, ws="none"
        )
        protocol: Any = bounded_protocol(Limits(), 4)
        self.protocol = protocol(config, self.state, {}, self.clock)
        self.protocol.connection_made(self.wire)

    async def _answer(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.refusals.append(scope.get(REFUSAL))
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def get(self) -> None:
        """One request, to its end."""
        self.protocol.data_received(REQUEST)
        await asyncio.gather(*self.state.tasks)


async def test_an_idle_connection_is_closed() -> None:
    """It is kept for as long as is set behind its last answer, and no longer."""
    one = Connected()
    await one.get()
    one.clock.reach(KEEP_ALIVE - 0.01)
    assert not one.wire.closed
    one.clock.reach(KEEP_ALIVE)
    assert one.wire.closed


async def test_each_request_begins_the_time_anew() -> None:
    """A connection that is used is idle since its last answer only, and has one timer for all of them."""
    one = Connected()
    for second in range(20):
        one.clock.reach(second)
        await one.get()
        assert len(one.clock.pending) == 1
    one.clock.reach(19 + KEEP_ALIVE - 0.01)
    assert not one.wire.closed
    one.clock.reach(19 + KEEP_ALIVE)
    assert one.wire.closed


async def test_a_request_under_way_is_not_idle() -> None:
    """However long its answer takes the connection is kept, and has its whole time behind it."""
    one = Connected()
    await one.get()
    one.clock.reach(4)
    one.may_answer.clear()
    one.protocol.data_received(REQUEST)
    one.clock.reach(20)
    assert not one.wire.closed
    one.may_answer.set()
    await asyncio.gather(*one.state.tasks)
    one.clock.reach(20 + KEEP_ALIVE - 0.01)
    assert not one.wire.closed
    one.clock.reach(20 + KEEP_ALIVE)
    assert one.wire.closed


async def test_a_head_that_has_begun_is_not_idle() -> None:
    """The next head's own deadline counts from its first byte, and its end is a refusal."""
    one = Connected()
    await one.get()
    one.clock.reach(4)
    one.protocol.data_received(REQUEST[:9])
    one.clock.reach(4 + Limits().head_timeout - 0.01)
    assert (one.refusals, one.wire.closed) == ([None], False)
    one.clock.reach(4 + Limits().head_timeout * 1.1)
    await asyncio.gather(*one.state.tasks)
    assert len(one.refusals) == 2
    assert one.wire.closed


async def test_who_says_nothing_is_not_answered() -> None:
    """Where not one byte comes the connection is closed without a word."""
    one = Connected()
    one.clock.reach(Limits().head_timeout * 1.1)
    assert (one.refusals, one.wire.closed) == ([], True)
