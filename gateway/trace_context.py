"""W3C trace context, Level 2: parse, validate and format; pure functions on raw header pairs.

Whatever the bytes are, nothing here raises: what cannot be parsed counts as absent. Ids stay lower-case hex
text, because headers and logs need them so and only an exported span needs a number.

Sources: W3C Trace Context Level 2 (https://www.w3.org/TR/trace-context-2/), W3C Baggage
(https://www.w3.org/TR/baggage/).
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.exchange import RawHeaders

SAMPLED = 0b01
"""Flag: the caller may have recorded the trace."""
RANDOM = 0b10
"""Flag: at least the last seven bytes of the trace id are random (Level 2)."""
KNOWN_FLAGS = SAMPLED | RANDOM
_SHOWN_FLAGS = ("00", "01", "02", "03")
"""As text already: to format the number took longer than all the rest of a traceparent."""

TRACESTATE_BYTES = 8_192
"""Upper bound of a joined tracestate; a longer one is dropped whole. The standard asks for at least 512."""
TRACESTATE_MEMBERS = 32
BAGGAGE_BYTES = 8_192
BAGGAGE_ENTRIES = 64

_OWS = b" \t"
# There is no version ff, version 00 ends after its flags, and an id of zeros is none.
_TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?",
    re.DOTALL,
)
# A value ends in a character that is no space; comma and equals sign never occur in it.
_STATE_MEMBER = re.compile(
    rb"([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_KEY = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_BAGGAGE_MEMBER = re.compile(
    _KEY + rb"[ \t]*=[ \t]*" + _VALUE + rb"(?:[ \t]*;[ \t]*" + _KEY + rb"(?:[ \t]*=[ \t]*" + _VALUE + rb")?)*"
)


class TraceContext(NamedTuple):
    """A caller's place in its trace."""

    trace_id: str
    """32 lower-case hex digits, not all zero."""
    parent_id: str
    """16 lower-case hex digits, not all zero: the caller's span."""
    flags: int
    """`SAMPLED` and `RANDOM`; other bits are gone."""
    tracestate: bytes = b""
    """One line, valid; empty where there is none."""


def parse(headers: RawHeaders, fields: Mapping[bytes, bytes] | None = None) -> TraceContext | None:
    """The caller's context, or None where traceparent is absent, repeated or invalid.

    Without a valid traceparent the tracestate is not looked at. `fields` is one value of each of the
    headers, for who has them at hand.
    """
    if fields is None:
        fields = dict(headers)
    parent = fields.get(b"traceparent")
    if parent is None or (len(fields) < len(headers) and len(_lines(headers, b"traceparent")) > 1):
        return None
    match = _TRACEPARENT.fullmatch(parent.strip(_OWS))
    if match is None:
        return None
    trace_id, parent_id, flags = match.groups()
    state = tracestate(_lines(headers, b"tracestate")) if b"tracestate" in fields else b""
    return TraceContext(trace_id.decode(), parent_id.decode(), int(flags, 16) & KNOWN_FLAGS, state)


def _lines(headers: RawHeaders, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def tracestate(lines: Sequence[bytes]) -> bytes:
    """Several tracestate lines as one; empty where any member is invalid or there are too many.

    A clean header keeps its bytes. Of members with the same key the first stays, empty members go.
    """
    joined = b",".join(lines).strip(_OWS)
    if len(joined) > TRACESTATE_BYTES:
        return b""
    parts = joined.split(b",")
    members: dict[bytes, bytes] = {}
    count = 0
    for part in parts:
        member = part.strip(_OWS)
        if not member:
            continue
        count += 1
        match = _STATE_MEMBER.fullmatch(member)
        if match is None or count > TRACESTATE_MEMBERS:
            return b""
        members.setdefault(match[1], member)
    return joined if len(members) == len(parts) else b",".join(members.values())


def traceparent(trace_id: str, span_id: str, flags: int) -> bytes:
    """A version 00 traceparent, also the value of `traceresponse`; unknown flags are sent as 0."""
    return f"00-{trace_id}-{span_id}-{_SHOWN_FLAGS[flags & KNOWN_FLAGS]}".encode()


def baggage(headers: RawHeaders) -> bytes:
    """The baggage lines as one; empty where there is none, where it is malformed or over a limit."""
    if b"baggage" not in dict(headers):
        return b""
    joined = b",".join(_lines(headers, b"baggage")).strip(_OWS)
    if len(joined) > BAGGAGE_BYTES:
        return b""
    parts = joined.split(b",")
    if len(parts) > BAGGAGE_ENTRIES:
        return b""
    if all(_BAGGAGE_MEMBER.fullmatch(part.strip(_OWS)) for part in parts):
        return joined
    return b""


def propagated(parent: bytes, state: bytes, bag: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The header lines to send; what is empty is not sent."""
    if parent and not state and not bag:
        return ((b"traceparent", parent),)
    lines = ((b"traceparent", parent), (b"tracestate", state), (b"baggage", bag))
    return tuple(line for line in lines if line[1])
