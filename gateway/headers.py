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

_DIGITS = 19
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
_PLAIN_VALUES = bytes({0x09, *range(0x20, 0x7F)})
VALUE_BYTES = _PLAIN_VALUES + bytes(range(0x80, 0x100))
"""What a value is made of (RFC 9110, section 5.5)."""
_ENDS_HERE_TOO = HOP_BY_HOP | {b"traceresponse"}
_OURS = frozenset({b"authorization", b"content-length", b"x-ms-error-code"}) | _ENDS_HERE
_SINGLE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization")
_PLAIN_NAMES = TOKEN_BYTES.replace(b"_", b"")
_IN_QUESTION = frozenset({b"", b"content-length", b"transfer-encoding"})
_BAD_NAME = "a header name is not a token"
_BAD_VALUE = "a header value has a control character"
_OTHER_CODING = "a Transfer-Encoding other than one chunked"
_OTHER_LENGTH = "more than one Content-Length, or one that is not a number"
_OUR_VIA = (b"via", VIA)
_NO_CODING = ((b"accept-encoding", b"identity"),)

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
    fields = dict(headers)
    if (
        # The plain request, of which no rule below speaks: a quarter of the time that asking each takes.
        len(fields) == len(headers)
        and _IN_QUESTION.isdisjoint(fields)
        and not b"".join(fields).translate(None, _PLAIN_NAMES)
        and not b"".join(fields.values()).translate(None, _PLAIN_VALUES)
    ):
        return None
    values = [value for _, value in headers]
    every_name, every_value = b"".join(fields), b"".join(values)
    if b"" in fields or every_name.translate(None, TOKEN_BYTES):
        return _BAD_NAME
    if every_value.translate(None, VALUE_BYTES):
        return _BAD_VALUE
    if b"_" in every_name:
        for name in fields:
            if b"_" in name and name.replace(b"_", b"-").strip(b"-") in guarded:
                return "a header name imitates one of the gateway's"
    if not all(map(_is_utf8, values)):
        return "a header value is neither ASCII nor UTF-8"
    names = [name for name, _ in headers]
    for name in _SINGLE:
        if names.count(name) > 1:
            return f"more than one {name.decode()} header"
    return _framing_in_doubt(fields)


def _framing_in_doubt(fields: Mapping[bytes, bytes]) -> str | None:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and not (length.isdigit() and len(length) <= _DIGITS):
        return "a content-length that is not a number"
    if coding is not None and coding.lower() != b"chunked":
        return "a transfer-encoding other than chunked"
    if length is not None and coding is not None:
        return "both content-length and transfer-encoding"
    return None


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def ending_here(extra: Iterable[bytes]) -> frozenset[bytes]:
    """The fields that never reach the upstream: hop-by-hop, replaced ones, and `extra`; made once."""
    return _ENDS_HERE.union(extra)


def to_upstream(
    headers: RawHeaders,
    *,
    drop: frozenset[bytes],
    host: bytes,
    identity: bool,
    add: Iterable[tuple[bytes, bytes]],
) -> RawHeaders:
    """The upstream's copy of the app's headers.

    `drop` comes from `ending_here`, `host` is the upstream's authority, `identity` asks for an uncompressed
    answer because the gateway reads it, `add` follows at the end.
    """
    names = b"\n".join(map(_name, headers))
    passing = (_kept_upwards if len(names) <= _SHORT else _upwards)(names, drop, identity)
    kept: Iterable[tuple[bytes, bytes]] = compress(headers, passing)
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
        # What most say; that field ends here anyway.
        return _NONE
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


def response_problem(headers: RawHeaders) -> str | None:
    """Why a response's head cannot be relayed; None where nothing is wrong."""
    if len(headers) > RESPONSE_LINES:
        return f"more than {RESPONSE_LINES} header lines"
    names, values = b"".join(map(_name, headers)), b"".join(map(_value, headers))
    if len(names) + len(values) > RESPONSE_BYTES:
        return f"headers of more than {RESPONSE_BYTES} bytes"
    return _end_in_doubt(headers, names, values)


def framing_problem(headers: RawHeaders) -> str | None:
    """Why it is in doubt where a response ends, and so what else its connection carries; None for no doubt.

    RFC 9112, sections 5 and 6.3.
    """
    return _end_in_doubt(headers, b"".join(map(_name, headers)), b"".join(map(_value, headers)))


def _end_in_doubt(headers: RawHeaders, every_name: bytes, every_value: bytes) -> str | None:
    fields = dict(headers)
    if b"" in fields or every_name.translate(None, TOKEN_BYTES):
        return _BAD_NAME
    if every_value.translate(None, VALUE_BYTES):
        return _BAD_VALUE
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and coding is not None:
        return "both Content-Length and Transfer-Encoding"
    if coding is not None and coding.strip().lower() != b"chunked":
        return _OTHER_CODING
    if length is not None and not (length.isdigit() and len(length) <= _DIGITS):
        return _OTHER_LENGTH
    if len(fields) < len(headers):
        if [name for name, _ in headers].count(b"transfer-encoding") > 1:
            return _OTHER_CODING
        # Equal lines say one thing.
        if [name for name, _ in set(headers)].count(b"content-length") > 1:
            return _OTHER_LENGTH
    return None


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
