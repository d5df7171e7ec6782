"""A response's head as it comes from the wire, judged before a parser that forgives sees it.

RFC 9112, sections 2 to 5, without obsolete line folding. A bare LF ends a line, as section 2.2 allows.
"""

import re

from gateway.exchange import RawHeaders
from gateway.headers import RESPONSE_BYTES, response_problem

_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_VERSION = b"HTTP/1."
_SWITCHING = 101


class BadHead(ValueError):
    """Why a response's head is none."""


class ResponseHead:
    """Follows a response up to the end of its final head; interim responses count as part of it."""

    __slots__ = ("_bytes", "_read", "complete")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._read = 0
        self.complete = False
        """Whether the final head has come; what follows is its body."""

    def feed(self, data: bytes) -> None:
        """Take note of the next bytes. Raises BadHead."""
        if self.complete:
            return
        self._read += len(data)
        searched = max(0, len(self._bytes) - 2)
        self._bytes += data
        while (end := _END.search(self._bytes, searched)) is not None:
            status = _judged(bytes(self._bytes[: end.start()]))
            del self._bytes[: end.end()]
            searched = 0
            if status >= 200 or status == _SWITCHING:  # noqa: PLR2004 - RFC 9110, section 15.2: 1xx is interim
                self.complete = True
                self._bytes.clear()
                return
        if not _VERSION.startswith(self._bytes[: len(_VERSION)]):
            raise BadHead("a status line that is none")
        if self._read > RESPONSE_BYTES:
            raise BadHead(f"a head of more than {RESPONSE_BYTES} bytes")


def _judged(head: bytes) -> int:
    """The status of a head without its blank line. Raises BadHead."""
    start, *lines = (line.removesuffix(b"\r") for line in head.split(b"\n"))
    found = _STATUS_LINE.fullmatch(start)
    if found is None:
        raise BadHead("a status line that is none")
    pairs: RawHeaders = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadHead("a header line without a colon, or a folded one")
        pairs.append((name.lower(), value.strip(b" \t")))
    problem = response_problem(pairs)
    if problem is None and found[1] == b"0" and any(name == b"transfer-encoding" for name, _ in pairs):
        problem = "a Transfer-Encoding in HTTP/1.0"
    if problem is not None:
        raise BadHead(problem)
    return int(found[2])
