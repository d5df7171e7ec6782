"""Responses that are nearly valid: a valid one, changed at a few places, the same for the same seed."""

from collections.abc import Iterator

from tests.support.corpus import load
from tests.support.request_mutations import Mutations

_OK = b"HTTP/1.1 200 OK\r\n"
_FIELDS = b'Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nETag: W/"7"\r\nx-ms-request-id: r-1\r\n'
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_POISON = _OK + b"Content-Length: 6\r\n\r\npoison"
VALID = (
    _OK + _FIELDS + b"Content-Length: 11\r\n\r\nhello world",
    _OK + _FIELDS + _CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    _OK + b'Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    _OK + _CHUNKED + b"a\r\n0123456789\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n",
    _OK + b"Content-Length: 0\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
    _OK + b"Connection: close, x-a\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok",
    _OK + b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
    _OK + b"X-A: until the end\r\n\r\nall of it",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 30\r\n\r\n",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    b'HTTP/1.1 404 Not Found\r\nContent-Length: 41\r\n\r\n{"error":{"code":"Mine","message":"No."}}',
    b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + _OK + _CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
    _OK + b"Content-Length: %d\r\n\r\n" % len(_POISON) + _POISON,
    _OK + b"Content-Length: 2\r\n\r\nok" + _POISON,
)
_LINES = (
    *(b"Content-Length: 0", b"Content-Length: 2", b"Content-Length: 300", b"Content-Length: 2, 2"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding : chunked"),
    *(b" Transfer-Encoding: chunked", b"Transfer_Encoding: chunked", b"transfer-encoding:\x0bchunked"),
    *(b"Connection: close", b"Connection: content-length, etag", b"Connection: keep-alive", b"Upgrade: h2c"),
    *(b"Content-Encoding: gzip", b"X-Gateway-Replayed: true", b"X-A: \xc3\xa9", b"X-A: a\x01", b"X-A: 1"),
    *(b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 OK", b"HTTP/1.0 204 Odd", b"Trailer: x", b" folded", b""),
)
_STATUSES = tuple(
    b"%03d" % number for number in (0, 99, 100, 101, 103, 199, 200, 204, 304, 400, 500, 600, 999)
)


class ResponseMutations(Mutations):
    """An endless row of mutated responses; the same seed gives the same row."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._corpus = [entry.data for entry in load("responses") if 0 < len(entry.data) < 1_000]
        self._ways = (*self._ways, self._status, self._status)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self._pick(VALID) if self._random.random() < 0.8 else self._pick(self._corpus)
            for _ in range(self._pick((0, 1, 1, 1, 2, 2, 3, 5))):
                data = self._pick(self._ways)(data)
            yield data

    def _line_added(self, data: bytes) -> bytes:
        at, line = self._random.randint(1, 5), self._pick(_LINES)
        return self._in_lines(data, lambda lines: lines.insert(at, line))

    def _status(self, data: bytes) -> bytes:
        return data[:9] + self._pick(_STATUSES) + data[12:]
