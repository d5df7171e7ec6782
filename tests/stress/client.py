"""An app's connection, for asyncio: one request under way at a time."""

import asyncio
import time
from typing import Any, NamedTuple, cast

import httptools

HOST = "127.0.0.1"


class Answer(NamedTuple):
    """What came back."""

    status: int
    code: str
    """`x-ms-error-code`, or nothing."""
    retry_after: float | None
    size: int

    @property
    def name(self) -> str:
        """`200`, or `503 GatewayOverloaded`."""
        return f"{self.status} {self.code}".rstrip()


class App(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.usable = True
        """Whether another request may be sent."""
        self.since = time.perf_counter()
        """When it was last used."""
        self.body = bytearray()
        """The last answer's body."""
        self._answer: asyncio.Future[Answer] | None = None
        self._parser: Any = None
        self._code = ""
        self._retry_after: float | None = None
        self._bodiless = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._parser is not None:
                self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(ConnectionError(f"unreadable answer: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self._end(ConnectionError(f"the connection was lost: {exc or 'closed'}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"x-ms-error-code":
                self._code = value.decode("latin-1")
            case b"retry-after" if value.isdigit():
                self._retry_after = float(value)

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_headers_complete(self) -> None:
        if self._bodiless:
            self.on_message_complete()

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.done():
            return
        self.usable = self.usable and self._parser.should_keep_alive()
        self.since = time.perf_counter()
        status = self._parser.get_status_code()
        self._answer.set_result(Answer(status, self._code, self._retry_after, len(self.body)))

    async def ask(self, request: bytes, *, head: bool = False) -> Answer:
        """Send and wait for the whole answer; `head` says that it has no body, as that to HEAD.

        Raises ConnectionError where none came, or not all of it.
        """
        self._code, self._retry_after, self._bodiless = "", None, head
        self.body.clear()
        self._parser = httptools.HttpResponseParser(self)
        self._answer = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            raise ConnectionError("the connection was closed before the request")
        self.transport.write(request)
        return await self._answer

    def _end(self, error: ConnectionError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


async def connect(port: int) -> App:
    """A new connection. Raises OSError."""
    _, app = await asyncio.get_running_loop().create_connection(App, HOST, port)
    return app


async def fetch(port: int, target: str, within: float = 30.0) -> tuple[int, bytes]:
    """Status and body of one GET on a connection of its own. Raises OSError or TimeoutError."""
    async with asyncio.timeout(within):
        app = await connect(port)
        try:
            answer = await app.ask(request_bytes(port, target))
        finally:
            app.transport.close()
    return answer.status, bytes(app.body)


def request_bytes(
    port: int, target: str, method: str = "GET", *, body: bytes | None = None, request_id: str | None = None
) -> bytes:
    """A request as an Azure SDK sends it."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {HOST}:{port}",
        "User-Agent: azsdk-python-digitaltwins-core/1.3.0 Python/3.11",
        "Accept: application/json",
    ]
    if request_id is not None:
        lines.append(f"x-ms-client-request-id: {request_id}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + (body or b"")
