"""When a connection is received, read and written: uvicorn's flow control, and reading in turns.

One receive can hold a quarter of a megabyte of tiny chunks, which are a third of a second's work. So it is
read a turn at a time. Everybody else comes in between, and so does the app: what it refuses is not read.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl

Read = Callable[[bytes, int], int]
"""Reads on for one turn in some bytes from an index, and says from which it goes on."""


class Flow(FlowControl):
    """uvicorn's, but an event is made only for who has to wait: an idle one is 0.8 KB."""

    __slots__ = ("_rest", "_transport", "_writable", "held", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._rest = b""
        self._writable: asyncio.Event | None = None
        self.held = False
        """Whether what was received waits for its next turn; until it is read nothing more is received."""
        self.read_paused = False
        self.write_paused = False

    def take(self, data: bytes, read: Read) -> None:
        """Have `read` read what was received, behind what was received before."""
        if self._rest:
            self._rest += data
            return
        at = read(data, 0)
        if at < len(data):
            self._rest = data
            self._hold(read, at)

    def _hold(self, read: Read, at: int) -> None:
        self._receive(paused=self.read_paused, held=True)
        asyncio.get_running_loop().call_soon(self._turn, read, at)

    def _turn(self, read: Read, at: int) -> None:
        if not self._rest:
            return
        at = read(self._rest, at)
        if at < len(self._rest):
            self._hold(read, at)
        else:
            self.forget()

    def forget(self) -> None:
        """Drop what waits to be read, and receive again."""
        self._rest = b""
        if self.held:
            self._receive(paused=self.read_paused, held=False)

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`."""
        self._receive(paused=True, held=self.held)

    def resume_reading(self) -> None:
        """Receive, once what was received is read."""
        self._receive(paused=False, held=self.held)

    def _receive(self, *, paused: bool, held: bool) -> None:
        before, now = self.read_paused or self.held, paused or held
        self.read_paused, self.held = paused, held
        if now and not before:
            self._transport.pause_reading()
        elif before and not now and not self._transport.is_closing():
            self._transport.resume_reading()

    async def drain(self) -> None:
        """Wait until there is room for more to be sent."""
        if self.write_paused:
            self._writable = self._writable or asyncio.Event()
            await self._writable.wait()

    def pause_writing(self) -> None:
        """Have `drain` wait."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Have `drain` wait no longer."""
        self.write_paused = False
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.set()
