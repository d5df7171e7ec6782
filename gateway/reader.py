"""The strict reader of HTTP/1.1 requests: bytes become heads and bodies, or a refusal (RFC 9112).

Parsers forgive what two peers read in two ways: two spaces in a request line, a bare line feed, a chunk size
with a sign. This one repairs nothing; its whole leniency is empty lines before a request (section 2.2) and
white space around a field's value. It holds one unfinished line and one head at most, and both are bounded.
"""

from collections.abc import Callable
from itertools import compress
from operator import itemgetter
from typing import Protocol

from gateway import failures
from gateway.chunks import Chunks
from gateway.exchange import RawHeaders
from gateway.field_lines import FieldLines, invalid
from gateway.headers import DIGITS, VALUE_BYTES
from gateway.request_line import UNREAD, read_line

_LINE_BYTES = VALUE_BYTES + b"\r"
_field = FieldLines().__getitem__
_name = itemgetter(0)

_TURN = 256  # steps; a chunk takes three, and some microseconds
_EMPTY_LINES = 2  # before a request: an old client sends one behind a body, and does not count it
_noted_name = frozenset(
    {b"connection", b"upgrade", b"expect", b"content-length", b"transfer-encoding"}
).__contains__
_KEEP_ALIVE = [(b"connection", b"keep-alive")]  # what HTTP/1.1 means anyway, and many say
_CR = ord("\r")


class Sink(Protocol):
    """Whoever is told of the requests on a connection, in order."""

    def on_head(self, has_body: bool) -> None:
        """A head is complete, and the request as well unless it `has_body`; the reader describes it."""

    def on_body(self, body: bytes) -> None:
        """A piece of the body, without its framing."""

    def on_end(self) -> None:
        """The body is complete."""


class RequestReader:
    """The reader of one connection; once it has raised it must not be fed again."""

    __slots__ = (
        "_chunks", "_empty", "_head_bytes", "_header_count", "_kept", "_left", "_read", "_room", "_trailers",
        "expects_continue", "headers", "in_head", "last", "line", "surplus",
    )  # fmt: skip

    def __init__(self, *, head_bytes: int, header_count: int) -> None:
        self._head_bytes, self._header_count = head_bytes, header_count
        self._kept = bytearray()
        self.surplus = False
        """Whether bytes came behind the last request of the connection; they are dropped."""
        self._begin()

    def _begin(self) -> None:
        self._read: _Step = RequestReader._read_head
        self._room = self._head_bytes
        self._empty = self._left = 0
        self._chunks: Chunks | None = None
        self._trailers: RawHeaders = []
        self.line = UNREAD
        self.headers: RawHeaders = []
        """Names in lower case, values without white space around them, in order."""
        self.last = False
        """Whether no further request on the connection is read."""
        self.expects_continue = False
        self.in_head = False
        """Whether a head has begun that is not complete."""

    def feed(self, data: bytes, sink: Sink, at: int = 0) -> int:
        """Read on from `at` for one turn, and say where the next begins; at the end of `data` there is none.

        Raises RequestInvalid or HeadersTooLarge, or what the sink raises.
        """
        for _ in range(_TURN):
            at = self._read(self, data, at, sink)
            if at >= len(data):
                break
        return at

    def _read_head(self, data: bytes, at: int, sink: Sink) -> int:
        """A whole head at once where it came in one piece, else a line of it."""
        end = -1 if self.in_head else data.find(b"\r\n\r\n", at)
        if end <= at or data[at] == _CR:
            return self._read_part(data, at, sink)
        if end - at > self._room:
            raise self._too_large()
        first, *lines = data[at:end].split(b"\r\n")
        self.line = line = read_line(first)
        if len(lines) > self._header_count:
            for each in lines:
                self._field(each, self.headers)
        self.headers = headers = [*map(_field, lines)]
        noted = _noted(headers)
        if line.version == "1.1" and (not noted or noted == _KEEP_ALIVE):
            # Nothing is said of a body or of the connection: nothing else of the reader has changed.
            sink.on_head(False)
            self.line, self.headers = UNREAD, []
        else:
            self._head_ends(noted, sink)
        return end + 4

    def _read_part(self, data: bytes, at: int, sink: Sink) -> int:
        line, at = self._line(data, at)
        if line is not None:
            self._head_line(line, sink)
        begun = self.line is not UNREAD or bool(self._kept)
        self.in_head = self._read is RequestReader._read_head and begun
        return at

    def _head_line(self, line: bytes, sink: Sink) -> None:
        if self.line is UNREAD:
            if line or self._empty == _EMPTY_LINES:
                self.line = read_line(line)
            self._empty += 1
        elif line:
            self._field(line, self.headers)
        else:
            self._head_ends(_noted(self.headers), sink)

    def _field(self, line: bytes, fields: RawHeaders) -> None:
        if len(fields) >= self._header_count:
            raise failures.HeadersTooLarge(f"More than {self._header_count} headers (limits.header_count).")
        fields.append(_field(line))

    def _head_ends(self, lines: RawHeaders, sink: Sink) -> None:
        """Take what these lines say of the body and of the connection, and tell of the head."""
        noted: dict[bytes, bytes] = {}
        for name, value in lines:
            if name in noted and name in {b"content-length", b"transfer-encoding"}:
                raise invalid(f"it has more than one {name.decode()}")
            noted[name] = noted[name] + b"," + value if name in noted else value
        self._frame(noted)
        options = noted.get(b"connection", b"").lower().split(b",")
        # Java and curl offer h2c and go on without. Behind any other offer a proxy may see a tunnel.
        self.last = self.line.version == "1.0" or noted.get(b"upgrade", b"h2c").lower() != b"h2c"
        self.last |= b"close" in [option.strip(b" \t") for option in options]
        expects = noted.get(b"expect", b"").lower()
        self.expects_continue = expects == b"100-continue" and self.line.version == "1.1"
        has_body = self._read is not RequestReader._read_head
        sink.on_head(has_body)
        if not has_body:
            self._go_on()

    def _frame(self, noted: dict[bytes, bytes]) -> None:
        """What frames the body (RFC 9112, section 6); anything but one plain way is refused."""
        length, coding = noted.get(b"content-length"), noted.get(b"transfer-encoding")
        if coding is not None:
            if length is not None:
                raise invalid("it has both content-length and transfer-encoding")
            if coding.lower() != b"chunked":
                raise invalid("its transfer-encoding is not chunked")
            if self.line.version == "1.0":
                raise invalid("HTTP/1.0 has no transfer-encoding")
            self._chunks = Chunks()
            self._read = RequestReader._read_chunk_size
        elif length is not None:
            if not length.isdigit() or len(length) > DIGITS:
                raise invalid("its content-length is not a number")
            self._left = int(length)
            if self._left:
                self._read = RequestReader._read_data

    def _read_data(self, data: bytes, at: int, sink: Sink) -> int:
        piece = data[at : at + self._left]
        self._left -= len(piece)
        sink.on_body(piece)
        if not self._left and self._chunks is not None:
            self._read = RequestReader._read_chunk_end
        elif not self._left:
            sink.on_end()
            self._go_on()
        return at + len(piece)

    def _read_chunk_size(self, data: bytes, at: int, sink: Sink) -> int:  # noqa: ARG002 - a step
        self._room = self._head_bytes
        line, at = self._line(data, at)
        if line is not None and self._chunks is not None:
            self._left = self._chunks.size(line)
            self._read = RequestReader._read_data if self._left else RequestReader._read_trailers
        return at

    def _read_chunk_end(self, data: bytes, at: int, sink: Sink) -> int:  # noqa: ARG002 - a step
        line, at = self._line(data, at)
        if line or bytes(self._kept) not in {b"", b"\r"}:
            raise invalid("a chunk is longer than its size")
        if line is not None:
            self._read = RequestReader._read_chunk_size
        return at

    def _read_trailers(self, data: bytes, at: int, sink: Sink) -> int:
        """Trailers are read strictly and dropped (RFC 9110, section 6.5.1)."""
        line, at = self._line(data, at)
        if line:
            self._field(line, self._trailers)
        elif line is not None:
            sink.on_end()
            self._go_on()
        return at

    def _go_on(self) -> None:
        """Read the next request, if there may be one."""
        if self.last:
            self._read = RequestReader._drop
        else:
            self._begin()

    def _drop(self, data: bytes, at: int, sink: Sink) -> int:  # noqa: ARG002 - a step
        self.surplus = True
        return len(data)

    def _line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """The next line without its CR LF, None where it is not complete, and where to go on."""
        end = data.find(b"\n", at)
        if end < 0:
            piece = data[at:]
            if piece.translate(None, _LINE_BYTES):
                raise invalid("a line has a control character")
            self._kept += piece
            if len(self._kept) > self._room:
                raise self._too_large()
            return None, len(data)
        line = data[at:end]
        if self._kept:
            line = bytes(self._kept) + line
            self._kept.clear()
        if not line.endswith(b"\r"):
            raise invalid("a line ends without a carriage return")
        if len(line) > self._room:
            raise self._too_large()
        self._room -= len(line)
        return line[:-1], end + 1

    def _too_large(self) -> failures.HeadersTooLarge:
        return failures.HeadersTooLarge(f"The head is over {self._head_bytes} bytes (limits.head_bytes).")


def _noted(headers: RawHeaders) -> RawHeaders:
    return [*compress(headers, map(_noted_name, map(_name, headers)))]


_Step = Callable[[RequestReader, bytes, int, Sink], int]
