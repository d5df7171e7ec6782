"""One kept connection, blocking: as little as possible between two clock readings."""

import hashlib
import json
import socket
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from tests.bench import pattern

_PIECE = 262_144


class UnexpectedAnswerError(Exception):
    """The answer was not a 200 with a Content-Length."""


class Client:
    """HTTP/1.1 to a port of 127.0.0.1; raises OSError or UnexpectedAnswerError."""

    def __init__(self, port: int, timeout: float = 180.0) -> None:
        """`timeout` in seconds is for each read and write."""
        self._port = port
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def get(self, target: str) -> bytes:
        """The body of a GET."""
        self._socket.sendall(request_bytes(self._port, target))
        return self._answer()

    def download(self, target: str) -> str:
        """SHA-256 of a body that is not kept."""
        digest = hashlib.sha256()
        for piece in self._pieces(target):
            digest.update(piece)
        return digest.hexdigest()

    def drain(self, target: str) -> int:
        """Bytes of a body that is not looked at."""
        return sum(map(len, self._pieces(target)))

    def upload(self, target: str, size: int) -> str:
        """PUT `size` bytes; the SHA-256 that the upstream answers with."""
        self._socket.sendall(request_bytes(self._port, target, "PUT", (f"content-length: {size}",)))
        for block in pattern.blocks(size):
            self._socket.sendall(block)
        return str(json.loads(self._answer())["sha256"])

    def put(self, target: str, body: bytes) -> bytes:
        """PUT a body that is there as a whole; the body of the answer."""
        length = f"content-length: {len(body)}"
        self._socket.sendall(request_bytes(self._port, target, "PUT", (length,)))
        self._socket.sendall(body)
        return self._answer()

    def _pieces(self, target: str) -> Iterator[memoryview]:
        self._socket.sendall(request_bytes(self._port, target))
        length, start = self._head()
        yield memoryview(start)
        missing = length - len(start)
        buffer = memoryview(bytearray(_PIECE))
        while missing:
            size = self._socket.recv_into(buffer)
            if not size:
                raise UnexpectedAnswerError(f"the body was cut {missing} bytes before its end")
            yield buffer[:size]
            missing -= size

    def _answer(self) -> bytes:
        length, body = self._head()
        while len(body) < length:
            body += self._receive()
        return body

    def _head(self) -> tuple[int, bytes]:
        data = self._receive()
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        start = data.lower().find(b"\r\ncontent-length:", 0, end + 2)
        if not data.startswith(b"HTTP/1.1 200 ") or start < 0:
            raise UnexpectedAnswerError(data[:200].decode("latin-1"))
        length = int(data[start + 17 : data.index(b"\r\n", start + 2)])
        return length, data[end + 4 :]

    def _receive(self) -> bytes:
        data = self._socket.recv(_PIECE)
        if not data:
            raise UnexpectedAnswerError("the connection was closed")
        return data


def request_bytes(port: int, target: str, method: str = "GET", more: Iterable[str] = ()) -> bytes:
    """A request as the Azure SDK would send it."""
    lines = (
        f"{method} {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: azsdk-python-digitaltwins-core/1.3.0 Python/3.11",
        "Accept: application/json",
        "Accept-Encoding: gzip, deflate",
        "x-ms-client-request-id: 6f9f0f5a-1df6-11f1-b7a5-0242ac120002",
        *more,
    )
    return "\r\n".join((*lines, "", "")).encode()
