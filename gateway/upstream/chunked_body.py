"""A response's body in chunks (RFC 9112, section 7.1), read as it comes.

Extensions and trailers are dropped, and both are bounded. A chunk's size may have white space behind it, as
some servers pad it; nothing else is forgiven. Requests are read more strictly (`gateway.chunks`).
"""

import re

_LINE = 8_192
"""Longest line."""
_SPARE = 65_536
"""Bytes by which extensions and trailers may be longer than the data so far: else they need have no end."""
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_END_OF_CHUNK, _SIZE_LINE, _TRAILERS = range(3)


class BadChunk(ValueError):
    """Why a body in chunks is none."""


class ChunkedBody:
    """Takes the chunks of one body off."""

    __slots__ = ("_expects", "_kept", "_left", "_spare", "ended", "surplus")

    def __init__(self) -> None:
        self._kept = b""
        self._left = 0
        self._expects = _SIZE_LINE
        self._spare = _SPARE
        self.ended = False
        self.surplus = False
        """Whether bytes came behind the end."""

    def feed(self, data: bytes) -> bytes:
        """The data in the next bytes. Raises BadChunk; what came before the fault is lost."""
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._spare += len(piece)
            else:
                at = self._line(data, at)
        self.surplus = at < len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line(self, data: bytes, at: int) -> int:
        """Take the next line, or keep what there is of it; where to go on."""
        end = data.find(b"\n", at)
        line = self._kept + data[at : len(data) if end < 0 else end]
        if len(line) > (_LINE if self._expects != _END_OF_CHUNK else 1):
            raise BadChunk("a line that is too long")
        if end < 0:
            self._kept = line
            return len(data)
        if not line.endswith(b"\r"):
            raise BadChunk("a line ends without a carriage return")
        self._kept = b""
        self._take(line[:-1])
        return end + 1

    def _take(self, line: bytes) -> None:
        if self._expects == _SIZE_LINE:
            match = _SIZE.fullmatch(line)
            if match is None:
                raise BadChunk("a chunk does not begin with its size")
            self._left = int(match[1], 16)
            self._spend(len(line) - len(match[1]))
            self._expects = _END_OF_CHUNK if self._left else _TRAILERS
        elif self._expects == _TRAILERS:
            self.ended = not line
            self._spend(len(line))
        elif line:
            raise BadChunk("a chunk is longer than its size")
        else:
            self._expects = _SIZE_LINE

    def _spend(self, size: int) -> None:
        self._spare -= size
        if self._spare < 0:
            raise BadChunk(f"extensions and trailers are over {_SPARE} bytes longer than the data")
