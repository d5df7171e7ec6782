"""A response's head as it comes from the wire, judged before anything of it is believed.

RFC 9112, sections 2 to 5, without obsolete line folding. A bare LF ends a line, as section 2.2 allows.
"""

import re
from http import HTTPStatus

from gateway.exchange import RawHeaders
from gateway.headers import RESPONSE_BYTES, response_problem

_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_VERSION = b"HTTP/1."
_SWITCHING = 101
_LAST = 599
_USUAL_STARTS = {
    f"HTTP/1.1 {status} {phrase}".encode(): int(status)
    for status in HTTPStatus
    for phrase in ("", status.phrase)
    if status >= HTTPStatus.OK
}
_KNOWN_LINES = 256
"""Header lines that are kept, as long; a look into a dictionary takes a fifth of taking one apart."""
_LINE = 200
_REPEATED = frozenset(
    {
        b"api-supported-versions", b"cache-control", b"connection", b"content-encoding", b"content-length",
        b"content-type", b"date", b"server", b"strict-transport-security", b"transfer-encoding", b"vary",
        b"x-content-type-options",
    }
)  # fmt: skip
"""Names of which lines are kept: none that is new with each response, or somebody's secret."""


class BadHead(ValueError):
    """Why a response's head is none."""


def whole_head(data: bytes) -> tuple[int, RawHeaders, bytes] | None:
    """Status, headers and what follows, where `data` begins with a final head and a usual first line of 1.1.

    Most do. None where `ResponseHead` has to read it, which says the same in three times as many steps.
    Raises BadHead.
    """
    end = data.find(b"\r\n\r\n")
    if not 0 < end <= RESPONSE_BYTES:
        return None
    start, *lines = data[:end].split(b"\r\n")
    status = _USUAL_STARTS.get(start)
    if status is None or data.count(b"\n", 0, end) > len(lines):
        return None
    return status, [*map(_FIELDS.__getitem__, lines)], data[end + 4 :]


class ResponseHead:
    """Follows a response up to the end of its final head; interim responses count as part of it."""

    __slots__ = ("_bytes", "_read", "complete", "headers", "old", "status")

    status: int
    headers: RawHeaders
    """As they came, names in lower case; neither these nor their framing have been judged."""
    old: bool
    """Whether it is HTTP/1.0."""

    def __init__(self) -> None:
        self._bytes = b""
        self._read = 0
        self.complete = False
        """Whether the final head has come; what follows is its body."""

    def feed(self, data: bytes) -> bytes | None:
        """Read on: what follows the final head, or None while that is not complete. Raises BadHead."""
        if self.complete:
            return data
        self._read += len(data)
        begin, searched = 0, max(0, len(self._bytes) - 2)
        if self._bytes:
            data = self._bytes + data
        while (end := _END.search(data, searched)) is not None:
            self._take(data[begin : end.start()])
            begin = searched = end.end()
            if self.status >= 200 or self.status == _SWITCHING:  # noqa: PLR2004 - RFC 9110, section 15.2
                if begin > RESPONSE_BYTES:
                    break
                self.complete = True
                self._bytes = b""
                return data[begin:]
            if (problem := response_problem(self.headers)) is not None:
                raise BadHead(problem)
            if begin > RESPONSE_BYTES:
                break
        if self._read > RESPONSE_BYTES:
            raise BadHead(f"a head of more than {RESPONSE_BYTES} bytes")
        if not _VERSION.startswith(data[begin : begin + len(_VERSION)]):
            raise BadHead("a status line that is none")
        self._bytes = data[begin:]
        return None

    def _take(self, head: bytes) -> None:
        """Read a head without its blank line and the LF before that."""
        lines = head.removesuffix(b"\r").split(b"\r\n")
        if head.count(b"\n") >= len(lines):
            lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
        start = lines[0]
        self.old, self.status = _start(start)
        self.headers = [*map(_FIELDS.__getitem__, lines[1:])]
        if self.old and any(name == b"transfer-encoding" for name, _ in self.headers):
            raise BadHead("a Transfer-Encoding in HTTP/1.0")


class JudgedHead(ResponseHead):
    """A head for a parser that forgives what must not be relayed."""

    __slots__ = ()

    def _take(self, head: bytes) -> None:
        super()._take(head)
        problem = "a status that is none" if self.status > _LAST else response_problem(self.headers)
        if problem is not None:
            raise BadHead(problem)


def _start(line: bytes) -> tuple[bool, int]:
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise BadHead("a status line that is none")
    return found[1] == b"0", int(found[2])


class _Fields(dict[bytes, tuple[bytes, bytes]]):
    """Name in lower case and value of a line; what is no token or has control characters is judged later."""

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadHead("a header line without a colon, or a folded one")
        field = name.lower(), value.strip(b" \t")
        if field[0] in _REPEATED and len(line) <= _LINE:
            if len(self) >= _KNOWN_LINES:
                self.clear()
            self[line] = field
        return field


_FIELDS = _Fields()
