"""Behaviours for the recording upstream: the answers, cuts and silences that tests want often."""

import asyncio
import hashlib

from tests.support.http1 import Pairs
from tests.support.upstream import Behaviour, Call

STALL = 0.5
"""Seconds after which a write that is not taken counts as held up by back-pressure."""

_OK = b"HTTP/1.1 200 OK\r\n"
NO_RESPONSES = {
    "no http": b"garbage\r\n\r\n",
    "length and coding": _OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": _OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "unasked 101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "huge head": _OK + b"X-A: " + b"a" * 1_048_576 + b"\r\nContent-Length: 0\r\n\r\n",
}
"""What cannot be taken for a response: no HTTP, ambiguous framing, a head without end."""


def reply(status: int = 200, body: bytes = b"", headers: Pairs | None = None) -> Behaviour:
    """A whole response with its length; HEAD gets the head alone, 204 and 304 no length."""

    async def behaviour(call: Call) -> None:
        await call.body()
        bodiless = status in {204, 304}
        length = [] if bodiless else [(b"Content-Length", b"%d" % len(body))]
        await call.send_head(status, [*(headers or []), *length])
        if call.request.method != b"HEAD" and not bodiless:
            await call.send(body)

    return behaviour


def raw(data: bytes) -> Behaviour:
    """These bytes, whatever they are; the connection stays open."""

    async def behaviour(call: Call) -> None:
        await call.body()
        await call.send(data)

    return behaviour


def cut(data: bytes = b"", *, reset: bool = False) -> Behaviour:
    """These bytes, then the end of the connection: FIN, or RST."""

    async def behaviour(call: Call) -> None:
        await call.body()
        await call.send(data)
        if reset:
            call.reset()
        else:
            call.close()

    return behaviour


def cut_unread() -> Behaviour:
    """Break the connection without reading the request's body."""

    async def behaviour(call: Call) -> None:
        call.reset()

    return behaviour


def never(data: bytes = b"") -> Behaviour:
    """These bytes, then silence until the peer goes."""

    async def behaviour(call: Call) -> None:
        await call.body()
        await call.send(data)
        await call.gone()
        call.close()

    return behaviour


def gated(gate: asyncio.Event, then: Behaviour) -> Behaviour:
    """Wait for the gate, then behave."""

    async def behaviour(call: Call) -> None:
        await call.body()
        await gate.wait()
        await then(call)

    return behaviour


def first(data: bytes, then: Behaviour) -> Behaviour:
    """These bytes before the body is read, such as an interim response, then behave."""

    async def behaviour(call: Call) -> None:
        await call.send(data)
        await then(call)

    return behaviour


def closing(then: Behaviour) -> Behaviour:
    """Behave, then close the connection without having announced it."""

    async def behaviour(call: Call) -> None:
        await then(call)
        call.close()

    return behaviour


class Download:
    """A large body, sent only as fast as it is taken."""

    def __init__(self, size: int, *, chunked: bool = False, status: int = 200) -> None:
        self.size = size
        self.sent = 0
        self.sha256 = ""
        """Digest of all of it, once it is sent."""
        self.held_up = asyncio.Event()
        """Set when the peer has stopped taking."""
        self.finished = asyncio.Event()
        self._chunked = chunked
        self._status = status

    async def __call__(self, call: Call) -> None:
        """Send the body; the behaviour itself."""
        await call.body()
        framing = (
            (b"Transfer-Encoding", b"chunked") if self._chunked else (b"Content-Length", b"%d" % self.size)
        )
        await call.send_head(self._status, [framing])
        digest = hashlib.sha256()
        while self.sent < self.size:
            piece = (b"%016x" % self.sent) * 4096
            piece = piece[: self.size - self.sent]
            digest.update(piece)
            await self._send(call, piece)
            self.sent += len(piece)
        if self._chunked:
            await call.send_chunk(b"")
        self.sha256 = digest.hexdigest()
        self.finished.set()

    async def _send(self, call: Call, piece: bytes) -> None:
        sending = asyncio.ensure_future(call.send_chunk(piece) if self._chunked else call.send(piece))
        try:
            await asyncio.wait((sending,), timeout=STALL)
            if not sending.done():
                self.held_up.set()
            await sending
        finally:
            sending.cancel()
