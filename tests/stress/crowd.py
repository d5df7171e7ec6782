"""Many connections that are in no hurry; a process of its own.

    python -m tests.stress.crowd PORT COUNT WAY

    idle      ask once, then say nothing more
    silent    say nothing at all
    heads     send the head of a request, a byte a second
    bodies    send the head, then the body, a byte a second; the body is one that is kept
    uploads   the same with a body that is streamed to the upstream as it comes
    readers   ask for a large answer and take none of it

A connection that is closed is opened anew, but for `idle` and `silent`; after 503 in a second, as its
Retry-After asks. Prints the number of those that are
open once all were; each line on standard input is answered with a JSON of what came of them since.
"""

import asyncio
import json
import resource
import socket
import sys
from collections import Counter
from typing import cast

import uvloop

from tests.stress.client import HOST, request_bytes

_AT_ONCE = 200
"""Connections that are opened at the same time."""
_BODIES = {"bodies": 10_000, "uploads": 10_000_000}
_LARGE = "/digitaltwins/large?size=8388608"
"""More than the kernel keeps for a reader that takes nothing."""
_TWIN = "/digitaltwins/slow?api-version=2023-10-31"
_SMALL_BUFFER = 65_536
_RETRY_AFTER = 1.0
"""Seconds, of every refusal for want of a connection."""


class _Slow(asyncio.Protocol):
    """One connection."""

    def __init__(self, crowd: "_Crowd") -> None:
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        self._pause = 0.0
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._crowd.open += 1
        self._crowd.most = max(self._crowd.most, self._crowd.open)
        way = self._crowd.way
        if way == "readers":
            self._transport.pause_reading()
        if way in {"idle", "readers"}:
            self._transport.write(self._crowd.request)
        if way != "idle":
            self.answered.set_result(None)
        if way in {"heads", *_BODIES}:
            if way in _BODIES:
                self._transport.write(self._crowd.head)
                self._sent = len(self._crowd.head)
            self._next()

    def _next(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(self._crowd.byte(self._sent))
        self._sent += 1
        self._timer = asyncio.get_running_loop().call_later(1.0, self._next)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 "):
            status = data[9:12].decode()
            self._crowd.answers[status] += 1
            self._pause = _RETRY_AFTER if status == "503" else 0.0
        if not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._crowd.open -= 1
        self._crowd.closed += 1
        if not self.answered.done():
            self.answered.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        self._crowd.lost(self._pause)


class _Crowd:
    def __init__(self, port: int, count: int, way: str) -> None:
        self.way = way
        self.open = self.most = self.closed = self.refused = 0
        self.answers: Counter[str] = Counter()
        self._port, self._count = port, count
        self._anew: set[asyncio.Task[None]] = set()
        self.request = request_bytes(port, _LARGE if way == "readers" else _TWIN)
        self.head = self.request
        if way in _BODIES:
            length = b"Content-Length: %d\r\n" % _BODIES[way]
            self.head = request_bytes(port, _TWIN, "PUT").replace(b"\r\n\r\n", b"\r\n" + length + b"\r\n")

    def byte(self, at: int) -> bytes:
        """The byte at this place of a request, whose head grows without an end if that is the way."""
        return self.head[at : at + 1] if at < len(self.head) - 4 else b"x"

    async def gather(self) -> None:
        """Open all."""
        for start in range(0, self._count, _AT_ONCE):
            await asyncio.gather(*(self._one() for _ in range(min(_AT_ONCE, self._count - start))))

    async def _one(self, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        connection = socket.socket()
        connection.setblocking(False)
        if self.way == "readers":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(connection, (HOST, self._port))
            _, slow = await loop.create_connection(lambda: _Slow(self), sock=connection)
            await slow.answered
        except OSError:
            connection.close()
            self.refused += 1

    def lost(self, pause: float) -> None:
        """One was closed; after a pause in seconds another takes its place."""
        if self.way in {"idle", "silent"}:
            return
        task = asyncio.ensure_future(self._one(pause))
        self._anew.add(task)
        task.add_done_callback(self._anew.discard)

    def told(self) -> str:
        """What came of them."""
        counts = {"open": self.open, "most": self.most, "closed": self.closed, "refused": self.refused}
        return json.dumps(counts | {"answers": self.answers})


async def _run(port: int, count: int, way: str) -> None:
    crowd = _Crowd(port, count, way)
    await crowd.gather()
    sys.stdout.write(f"{crowd.open}\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while await reader.readline():
        sys.stdout.write(crowd.told() + "\n")
        sys.stdout.flush()


def main() -> None:
    """The command line above."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port, count, way = sys.argv[1:]
    uvloop.run(_run(int(port), int(count), way))


if __name__ == "__main__":
    main()
