"""Requests that are nearly valid: a valid one, changed at a few places, the same for the same seed."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tests.support.corpus import load

Item = TypeVar("Item")

_HOST = b"Host: localhost\r\n"
_AGENT = b"User-Agent: app/1\r\nAccept: application/json\r\nx-ms-client-request-id: 7\r\n"
_SECOND = b"GET /second HTTP/1.1\r\n" + _HOST + b"\r\n"
VALID = (
    b"GET /models?api-version=2023-10-31 HTTP/1.1\r\n" + _HOST + _AGENT + b"\r\n",
    b"GET / HTTP/1.1\r\n" + _HOST + b"Connection: keep-alive, x-a\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
    b"PUT /digitaltwins/t HTTP/1.1\r\n" + _HOST + _AGENT + b'Content-Length: 8\r\n\r\n{"a": 1}',
    b"POST /query HTTP/1.1\r\n" + _HOST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"PUT /digitaltwins/t HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    b"PATCH /digitaltwins/t HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n"
    b'2;a="b"\r\n[]\r\n0\r\nX-T: 1\r\n\r\n',
    b"PUT /a HTTP/1.1\r\n" + _HOST + b"Content-Length: 3\r\n\r\nabc" + _SECOND,
    b"PUT /a HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + _SECOND,
    b"GET /a HTTP/1.1\r\n" + _HOST + b"\r\n" + _SECOND,
    b"PUT /a HTTP/1.1\r\n" + _HOST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"DELETE /models/m HTTP/1.1\r\n" + _HOST + b"Authorization: Bearer theirs\r\nIf-Match: *\r\n\r\n",
    b"PUT /a HTTP/1.1\r\n" + _HOST + b"Content-Length: %d\r\n\r\n" % len(_SECOND) + _SECOND,
    b"HEAD /models HTTP/1.1\r\n" + _HOST + b"\r\n",
)
_SPECIAL = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"\t", b" ", b"\x0b", b":", b";", b",", b"=", b'"', b"\\", b"/", b"."),
    *(b"0", b"1", b"f", b"-", b"+", b"%", b"%2e", b"#", b"?", b"@", b"\xff", b"\x7f", b"\xc3\xa9", b"\r\n "),
    *(b"\r\n\r\n", b"\n\n", b"0\r\n\r\n", b"chunked", b"close", b"0x", b"HTTP/1.0", b"HTTP/1.1"),
)
_LINES = (
    *(b"Content-Length: 0", b"Content-Length: 3", b"Content-Length: 30", b"Content-Length: 5, 5"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked"),
    *(b" Transfer-Encoding: chunked", b"Transfer_Encoding: chunked", b"transfer-encoding:\x0bchunked"),
    *(b"Connection: close", b"Connection: content-length", b"Connection: authorization, host, via"),
    *(b"Host: evil.example", b"Host: localhost", b"Authorization: Bearer theirs", b"Upgrade: h2c", b"X-A: 1"),
    *(b"Expect: 100-continue", b"TE: trailers", b"Via: 1.0 them", b"GET /smuggled HTTP/1.1", b""),
)
_CHUNKS = (
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"-1\r\n",
    b"3;\nabc\r\n",
    b"3 \r\nabc\r\n",
    b"\r\n",
    b"5\r\nab",
)


class Mutations:
    """An endless row of mutations; the same seed gives the same row."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        # Large ones take time and say nothing that small ones do not.
        self._corpus = [entry.data for entry in load("requests") if 0 < len(entry.data) < 1_000]
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            *(self._flip, self._insert, self._insert, self._delete, self._repeat, self._overwrite),
            *(self._line_added, self._line_added, self._line_removed, self._line_doubled, self._lines_joined),
            *(self._lines_swapped, self._framing_swapped, self._chunk_added, self._number, self._line_end),
            *(self._case, self._splice, self._line_of_corpus, self._cut),
        )

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self._pick(VALID) if self._random.random() < 0.8 else self._pick(self._corpus)
            for _ in range(self._pick((1, 1, 1, 2, 2, 3, 5))):
                data = self._pick(self._ways)(data)
            yield data

    def _pick(self, values: Sequence[Item]) -> Item:
        return self._random.choice(values)

    def _at(self, data: bytes) -> int:
        return self._random.randrange(len(data) + 1)

    def _flip(self, data: bytes) -> bytes:
        at = self._at(data)
        bits = 1 << self._random.randrange(8)
        return data[:at] + bytes(byte ^ bits for byte in data[at : at + 1]) + data[at + 1 :]

    def _insert(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._pick(_SPECIAL) + data[at:]

    def _overwrite(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._pick(_SPECIAL) + data[at + 1 :]

    def _delete(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at + self._random.randint(1, 4) :]

    def _repeat(self, data: bytes) -> bytes:
        at = self._at(data)
        piece = data[at : at + self._random.randint(1, 40)]
        return data[:at] + piece * 2 + data[at + len(piece) :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _splice(self, data: bytes) -> bytes:
        other = self._pick(self._corpus)
        return data[: self._at(data)] + other[self._at(other) :]

    def _in_lines(self, data: bytes, change: Callable[[list[bytes]], None]) -> bytes:
        lines = data.split(b"\r\n")
        change(lines)
        return b"\r\n".join(lines)

    def _line_added(self, data: bytes) -> bytes:
        at, line = self._random.randint(1, 5), self._pick(_LINES)
        return self._in_lines(data, lambda lines: lines.insert(at, line))

    def _line_of_corpus(self, data: bytes) -> bytes:
        at, line = self._random.randint(0, 6), self._pick(self._pick(self._corpus).split(b"\r\n"))
        return self._in_lines(data, lambda lines: lines.insert(at, line))

    def _line_removed(self, data: bytes) -> bytes:
        def change(lines: list[bytes]) -> None:
            del lines[self._random.randrange(len(lines))]

        return self._in_lines(data, change)

    def _line_doubled(self, data: bytes) -> bytes:
        def change(lines: list[bytes]) -> None:
            lines.insert(self._random.randint(1, len(lines)), self._pick(lines))

        return self._in_lines(data, change)

    def _lines_joined(self, data: bytes) -> bytes:
        places = [at for at in range(len(data)) if data.startswith(b"\r\n", at)]
        if not places:
            return data
        at = self._pick(places)
        return data[:at] + self._pick((b"", b" ", b"\n", b"\r", b"\t", b"\r\n ")) + data[at + 2 :]

    def _line_end(self, data: bytes) -> bytes:
        return data.replace(
            b"\r\n", self._pick((b"\n", b"\r", b"\r\r\n", b"\n\r")), self._random.randint(1, 9)
        )

    def _lines_swapped(self, data: bytes) -> bytes:
        def change(lines: list[bytes]) -> None:
            one, other = self._random.randrange(len(lines)), self._random.randrange(len(lines))
            lines[one], lines[other] = lines[other], lines[one]

        return self._in_lines(data, change)

    def _framing_swapped(self, data: bytes) -> bytes:
        length, coding = b"Content-Length: 5", b"Transfer-Encoding: chunked"
        if coding in data:
            both = (length + b"\r\n" + coding, coding + b"\r\n" + length)
            return data.replace(coding, self._pick((length, *both)))
        forms = (b"Transfer-Encoding:", coding + b"\r\nContent-Length:")
        return data.replace(b"Content-Length:", self._pick(forms))

    def _chunk_added(self, data: bytes) -> bytes:
        at = data.find(b"\r\n\r\n") + 4
        at = self._random.choice((at, len(data), self._random.randint(min(at, len(data)), len(data))))
        return data[:at] + self._pick(_CHUNKS) + data[at:]

    def _number(self, data: bytes) -> bytes:
        places = [at for at in range(len(data)) if data[at : at + 1].isdigit()]
        if not places:
            return data
        at = self._pick(places)
        forms = (
            b"0",
            b"1",
            b"9",
            b"+1",
            b"-1",
            b"0x5",
            b"5 ",
            b" 5",
            b"05",
            b"5, 5",
            b"5;5",
            b"\x0b5",
            b"1" * 20,
        )
        return data[:at] + self._pick(forms) + data[at + 1 :]

    def _case(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at : at + 10].swapcase() + data[at + 10 :]
