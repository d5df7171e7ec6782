"""A small HTTP/1.1 server that costs little beside what is measured; the base of `upstream` and `sink`."""

import asyncio
import json
import sys
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, cast

import httptools
import uvloop


class Connection(asyncio.Protocol):
    """One connection; a subclass answers. Requests of one connection must not be pipelined."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpRequestParser(self)
        self.target = b""
        self.authorization = b""
        self.taken = asyncio.Event()
        """Set while the peer takes what is written."""
        self.taken.set()

    @abstractmethod
    def answer(self) -> None:
        """The request is complete: write a response."""

    def on_body(self, piece: bytes) -> None:
        """A piece of the request's body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Let a body that is being written end."""
        self.taken.set()

    def pause_writing(self) -> None:
        """The peer is slower than we are."""
        self.taken.clear()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.taken.set()

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self.target = self.authorization = b""

    def on_url(self, url: bytes) -> None:
        """Take the target."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take the one header that is looked at."""
        if name.lower() == b"authorization":
            self.authorization = value

    def on_message_complete(self) -> None:
        """Answer."""
        self.answer()

    def reply(self, body: bytes) -> None:
        """Write a 200 with a JSON body."""
        self.transport.write(head(len(body)) + body)

    def reply_json(self, value: object) -> None:
        """Write a 200 with this value."""
        self.reply(json.dumps(value).encode())


def head(length: int) -> bytes:
    """A response head, with what Azure Digital Twins puts there."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"
        b"x-ms-request-id: 8f8b4cf7-6c2b-4a39-9a60-3d3a3d5f8d11\r\n\r\n"
    ) % length


def serve(connection: Callable[[], Connection]) -> None:
    """Serve on a free port of 127.0.0.1, say which on standard output, until the process is ended."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, backlog=2048)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    uvloop.run(run())
