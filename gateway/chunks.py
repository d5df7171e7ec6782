"""The line before each chunk of a body: what it says, and how much it may say (RFC 9112, section 7.1).

Extensions mean nothing here, so an app could send them for ever and count as somebody who sends a body. They
may be as long as the data so far and `SPARE` more; a signature for each chunk is far below that.
"""

import re

from gateway import failures

SPARE = 16_384
"""Bytes by which a body's extensions may be longer than its data so far."""

# RFC 9112, section 7.1.1, without the white space that no sender may generate (RFC 9110, section 5.6.3).
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"'
# No size of more digits: 15 are less than 64 bits.
_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;%b(?:=(?:%b|%b))?)*" % (_TOKEN, _TOKEN, _QUOTED))


class Chunks:
    """The chunks of one body."""

    __slots__ = ("_spare",)

    def __init__(self) -> None:
        self._spare = SPARE

    def size(self, line: bytes) -> int:
        """The bytes of the chunk that follows this line, of which CR LF is no part.

        Raises RequestInvalid for a line that begins no chunk, and where there are too many extensions.
        """
        match = _LINE.fullmatch(line)
        if match is None:
            raise failures.RequestInvalid(
                "The request is not valid HTTP/1.1: a chunk does not begin with its size."
            )
        digits = match[1]
        size = int(digits, 16)
        self._spare -= len(line) - len(digits)
        if self._spare < 0:
            raise failures.RequestInvalid(
                f"The body's chunk extensions are over {SPARE} bytes longer than its data."
            )
        self._spare += size
        return size
