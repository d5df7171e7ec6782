"""Header rules both ways: pure functions on lists of raw pairs, never a dict.

Names are in lower case, order and duplicates are kept. Hop-by-hop fields and those named in `Connection` end
at the gateway (RFC 9110, section 7.6.1). The app's own hop-by-hop and credential fields are removed first and
the gateway's are added after, so that no `Connection: authorization` can take ours away.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import compress
from operator import itemgetter

from gateway.exchange import RawHeaders

HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
TRACE = frozenset({b"traceparent", b"tracestate", b"baggage"})
_TOLD_BEFORE = b"x-gateway-error-normalised"
"""Stays true of a body that another gateway further up has rewritten."""
VIA = b"1.1 adt-gateway"

DIGITS = 19
"""Digits of the largest Content-Length that every peer reads alike: it fits into 64 bits."""
RESPONSE_LINES = 100
"""Header lines of a response; hyper, below pyreqwest, reads no more."""
RESPONSE_BYTES = 65_536
"""Largest head of a response in bytes; what an app's own parser takes is about as much."""
_NONE: frozenset[bytes] = frozenset()
_ALWAYS_END_TO_END = frozenset({b"", b"content-length", b"content-type"})
_ENDS_HERE = HOP_BY_HOP | TRACE | {b"host", b"expect", b"via", b"http2-settings"}
TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
"""What a name in lower case is made of (RFC 9110, section 5.6.2)."""
VALUE_BYTES = bytes({0x09, *range(0x20, 0x7F), *range(0x80, 0x100)})
"""What a value is made of (RFC 9110, section 5.5)."""
JUDGED_VALUE = bytes(byte if byte in VALUE_BYTES else 0 for byte in range(256))
"""Makes 0 of what may not be there; told what to delete, `translate` would make a table each time."""
_ENDS_HERE_TOO = HOP_BY_HOP | {b"traceresponse"}
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_OURS = frozenset({b"authorization", b"content-length", b"x-ms-error-code"}) | _ENDS_HERE
_SINGLE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization")
_BAD_NAME = "a header name is not a token"
_BAD_VALUE = "a header value has a control character"
_OUR_VIA = (b"via", VIA)
_NO_CODING = ((b"accept-encoding", b"identity"),)

_Lines = Iterable[tuple[bytes, bytes]]
_name, _value = itemgetter(0), itemgetter(1)
_REMEMBERED = 256
"""Lists of names of which it is kept who passes; clients and upstreams have few."""
_SHORT = 1_024
"""Bytes of a list of names that is kept."""


def guarding(own: Iterable[bytes]) -> frozenset[bytes]:
    """The fields that the gateway gives a meaning, and `own` as well; made once."""
    return _OURS.union(own)


def problem(headers: RawHeaders, guarded: frozenset[bytes] = _OURS) -> str | None:
    """Why request headers cannot be forwarded as one unambiguous request, or None (RFC 9110, section 5).

    An underscore twin of a field that is `guarded` is refused, because some servers read `x_y` as `x-y`.
    """
    names, values = b"\n".join(map(_name, headers)), b"".join(map(_value, headers))
    judge = _kept_names_problem if len(names) <= _SHORT else _names_problem
    found = judge(names, len(headers), guarded)
    if found is not None:
        return found
    if 0 in values.translate(JUDGED_VALUE):
        return _BAD_VALUE
    if not values.isascii():
        try:
            b"\n".join(map(_value, headers)).decode()
        except UnicodeDecodeError:
            return "a header value is neither ASCII nor UTF-8"
    return None if FRAMING.isdisjoint(map(_name, headers)) else _framing_in_doubt(dict(headers))


def _names_problem(names: bytes, count: int, guarded: frozenset[bytes]) -> str | None:
    """What is wrong with the names alone; they stand one a line, and are the same in most requests."""
    each = _tokens(names, count)
    if each is None:
        return _BAD_NAME
    for name in each:
        if b"_" in name and name.replace(b"_", b"-").strip(b"-") in guarded:
            return "a header name imitates one of the gateway's"
    for name in _SINGLE:
        if each.count(name) > 1:
            return f"more than one {name.decode()} header"
    return None


_kept_names_problem = lru_cache(_REMEMBERED)(_names_problem)


def _tokens(names: bytes, count: int) -> list[bytes] | None:
    """The names, which stand one a line; None unless each of the `count` is a token."""
    each = names.split(b"\n") if count else []
    good = len(each) == count and all(name and not name.translate(None, TOKEN_BYTES) for name in each)
    return each if good else None


def _framing_in_doubt(fields: Mapping[bytes, bytes]) -> str | None:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and not (length.isdigit() and len(length) <= DIGITS):
        return "a content-length that is not a number"
    if coding is not None and coding.lower() != b"chunked":
        return "a transfer-encoding other than chunked"
    if length is not None and coding is not None:
        return "both content-length and transfer-encoding"
    return None


def ending_here(extra: Iterable[bytes]) -> frozenset[bytes]:
    """The fields that never reach the upstream: hop-by-hop, replaced ones, and `extra`; made once."""
    return _ENDS_HERE.union(extra)


def to_upstream(
    headers: RawHeaders, *, drop: frozenset[bytes], host: bytes, identity: bool, add: _Lines
) -> RawHeaders:
    """The upstream's copy of the app's headers.

    `drop` comes from `ending_here`, `host` is the upstream's authority, `identity` asks for an uncompressed
    answer because the gateway reads it, `add` follows at the end.
    """
    names = b"\n".join(map(_name, headers))
    passing = (_kept_upwards if len(names) <= _SHORT else _upwards)(names, drop, identity)
    kept: _Lines = compress(headers, passing)
    named = _connection_names(names, headers) if b"connection" in names else _NONE
    if named:
        kept = [pair for pair in kept if pair[0] not in named]
    via = (b"via", _via(headers, named)) if b"via" in names else _OUR_VIA
    return [(b"host", host), *kept, *(_NO_CODING if identity else ()), via, *add]


def _upwards(names: bytes, drop: frozenset[bytes], identity: bool) -> tuple[bool, ...]:
    """Which lines pass to the upstream, by their names: tokens, one a line, the same in most requests."""
    gone = drop | {b"accept-encoding"} if identity else drop
    return tuple(name not in gone for name in names.split(b"\n"))


_kept_upwards = lru_cache(_REMEMBERED)(_upwards)


def _via(headers: RawHeaders, named: frozenset[bytes]) -> bytes:
    earlier = () if b"via" in named else (value for name, value in headers if name == b"via")
    return b", ".join([*earlier, VIA])


def _connection_names(names: bytes, headers: RawHeaders) -> frozenset[bytes]:
    if names.count(b"connection") == 1 and dict(headers).get(b"connection") == b"keep-alive":
        return _NONE  # what most say, and that field ends here anyway
    lines = [value for name, value in headers if name == b"connection"]
    named = (part.strip().lower() for line in lines for part in line.split(b","))
    # Fields that frame or describe the body are end-to-end, whatever Connection says.
    return frozenset(named) - _ALWAYS_END_TO_END


def to_downstream(headers: RawHeaders) -> RawHeaders:
    """The app's copy of the upstream's response headers, with one length where several lines say it.

    The gateway adds a `traceresponse` of its own.
    """
    names = b"\n".join(map(_name, headers))
    kept = list(compress(headers, (_kept_downwards if len(names) <= _SHORT else _downwards)(names)))
    named = _connection_names(names, headers) if b"connection" in names else _NONE
    return [pair for pair in kept if pair[0] not in named] if named else kept


def _downwards(names: bytes) -> tuple[bool, ...]:
    """Which lines pass to the app, by their names, as `_upwards`."""
    each = names.split(b"\n")
    return tuple(
        name not in _ENDS_HERE_TOO
        and (name[:10] != b"x-gateway-" or name == _TOLD_BEFORE)
        # Equal lines say one thing, and are sent once (RFC 9110, section 8.6).
        and (name != b"content-length" or each.index(name) == at)
        for at, name in enumerate(each)
    )


_kept_downwards = lru_cache(_REMEMBERED)(_downwards)


def response_problem(headers: RawHeaders, *, limited: bool = True) -> str | None:
    """Why a response's head cannot be relayed; None where nothing is wrong.

    Where it is not `limited`: why it is in doubt where the response ends (RFC 9112, sections 5 and 6.3).
    """
    count = len(headers)
    names, values = b"\n".join(map(_name, headers)), b"".join(map(_value, headers))
    if limited and count > RESPONSE_LINES:
        return f"more than {RESPONSE_LINES} header lines"
    # Between the names is a line break each.
    if limited and len(names) - count + len(values) >= RESPONSE_BYTES:
        return f"headers of more than {RESPONSE_BYTES} bytes"
    places = (_kept_places if len(names) <= _SHORT else _places)(names, count)
    if places is None:
        return _BAD_NAME
    if 0 in values.translate(JUDGED_VALUE):
        return _BAD_VALUE
    lengths, codings = places
    if codings:
        if lengths:
            return "both Content-Length and Transfer-Encoding"
        if len(codings) > 1 or headers[codings[0]][1].strip().lower() != b"chunked":
            return "a Transfer-Encoding other than one chunked"
    elif lengths:
        length = headers[lengths[0]][1]
        good = length.isdigit() and len(length) <= DIGITS
        if not good or (len(lengths) > 1 and any(headers[at][1] != length for at in lengths)):
            return "more than one Content-Length, or one that is not a number"
    return None


def _places(names: bytes, count: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Where lengths and codings stand among names, one a line; None where one is no token."""
    each = _tokens(names, count)
    if each is None:
        return None
    lengths = tuple(at for at, name in enumerate(each) if name == b"content-length")
    return lengths, tuple(at for at, name in enumerate(each) if name == b"transfer-encoding")


_kept_places = lru_cache(_REMEMBERED)(_places)


def first(headers: RawHeaders, name: bytes) -> bytes | None:
    """The first value of a field, or None."""
    # Without a step of the interpreter's for each line.
    return dict(reversed(headers)).get(name)


def replaced(headers: RawHeaders, name: bytes, value: bytes | None) -> RawHeaders:
    """A copy in which `name` stands once with `value`, at its first place or the end; None removes it."""
    out: RawHeaders = []
    placed = value is None
    for pair in headers:
        if pair[0] != name:
            out.append(pair)
        elif not placed and value is not None:
            out.append((name, value))
            placed = True
    if not placed and value is not None:
        out.append((name, value))
    return out
