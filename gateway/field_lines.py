"""A header's line becomes its name and value; what apps send again and again is judged once.

A look into a dictionary takes a tenth of judging. What is kept is little, and names nobody: a line whose name
is on the list, which no credential and nothing that is new with each request is.
"""

from gateway import failures
from gateway.headers import JUDGED_VALUE, TOKEN_BYTES

LINES = 256
"""Lines kept; whoever sends others on purpose has them judged again, and no more."""
LINE_BYTES = 200
"""Longest line that is kept."""
REPEATED = frozenset(
    {
        b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"content-type",
        b"host", b"user-agent", b"x-ms-return-client-request-id",
    }
)  # fmt: skip
"""Names of which lines are kept."""

# As `JUDGED_VALUE`, and in lower case.
_NAME = bytes(byte if byte in TOKEN_BYTES else 0 for byte in bytes(range(256)).lower())


class FieldLines(dict[bytes, tuple[bytes, bytes]]):
    """Name in lower case and value, without white space around it, of a line without its CR LF."""

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        """Judge the line. Raises RequestInvalid."""
        name, colon, value = line.partition(b":")
        name = name.translate(_NAME)
        if not colon or not name or 0 in name:
            raise invalid("a header line is not a name, a colon and a value")
        value = value.strip(b" \t")
        if 0 in value.translate(JUDGED_VALUE):
            raise invalid("a header value has a control character")
        field = name, value
        if name in REPEATED and len(line) <= LINE_BYTES:
            if len(self) >= LINES:
                self.clear()
            self[line] = field
        return field


def invalid(why: str) -> failures.RequestInvalid:
    """The refusal of what is not HTTP/1.1."""
    return failures.RequestInvalid(f"The request is not valid HTTP/1.1: {why}.")
