"""Header rules both ways: pure functions on lists of raw pairs, never a dict.

Names are in lower case, order and duplicates are kept. Hop-by-hop fields and those named in `Connection` end
at the gateway (RFC 9110, section 7.6.1). The app's own hop-by-hop and credential fields are removed first and
the gateway's are added after, so that no `Connection: authorization` can take ours away.
"""

from collections.abc import Iterable
from itertools import chain

from gateway.exchange import RawHeaders

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
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
VALUE_BYTES = bytes({0x09, *range(0x20, 0x7F), *range(0x80, 0x100)})
"""What a value is made of (RFC 9110, section 5.5)."""
_OURS = frozenset({b"authorization", b"content-length", b"x-ms-error-code"}) | _ENDS_HERE
_SINGLE = (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization")


def guarding(own: Iterable[bytes]) -> frozenset[bytes]:
    """The fields that the gateway gives a meaning, and `own` as well; made once."""
    return _OURS.union(own)


def problem(headers: RawHeaders, guarded: frozenset[bytes] = _OURS) -> str | None:
    """Why request headers cannot be forwarded as one unambiguous request, or None (RFC 9110, section 5).

    An underscore twin of a field that is `guarded` is refused, because some servers read `x_y` as `x-y`.
    """
    names = [name for name, _ in headers]
    values = [value for _, value in headers]
    # All at once: to look at each takes five times as long.
    every_name, every_value = b"".join(names), b"".join(values)
    found = _malformed(names, every_name, every_value)
    if found is not None:
        return found
    if b"_" in every_name:
        for name in names:
            if b"_" in name and name.replace(b"_", b"-").strip(b"-") in guarded:
                return "a header name imitates one of the gateway's"
    if not every_value.isascii() and not all(map(_is_utf8, values)):
        return "a header value is neither ASCII nor UTF-8"
    if len(set(names)) < len(names):
        for name in _SINGLE:
            if names.count(name) > 1:
                return f"more than one {name.decode()} header"
    return _framing_in_doubt(headers)


def _malformed(names: list[bytes], every_name: bytes, every_value: bytes) -> str | None:
    if b"" in names or every_name.translate(None, TOKEN_BYTES):
        return "a header name is not a token"
    if every_value.translate(None, VALUE_BYTES):
        return "a header value has a control character"
    return None


def _framing_in_doubt(headers: RawHeaders) -> str | None:
    length, coding = first(headers, b"content-length"), first(headers, b"transfer-encoding")
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
    named = _connection_names(headers)
    gone = drop | named if named else drop
    coding = b"accept-encoding" if identity else b""
    out: RawHeaders = [(b"host", host)]
    out += [pair for pair in headers if pair[0] not in gone and pair[0] != coding]
    if identity:
        out.append((b"accept-encoding", b"identity"))
    out.append((b"via", _via(headers, named)))
    out.extend(add)
    return out


def _via(headers: RawHeaders, named: frozenset[bytes]) -> bytes:
    if first(headers, b"via") is None or b"via" in named:
        return VIA
    return b", ".join([*(value for name, value in headers if name == b"via"), VIA])


def _connection_names(headers: RawHeaders) -> frozenset[bytes]:
    if first(headers, b"connection") is None:
        return _NONE
    lines = [value for name, value in headers if name == b"connection"]
    named = (part.strip().lower() for line in lines for part in line.split(b","))
    # Fields that frame or describe the body are end-to-end, whatever Connection says.
    return frozenset(named) - _ALWAYS_END_TO_END


def to_downstream(headers: RawHeaders) -> RawHeaders:
    """The app's copy of the upstream's response headers."""
    named = _connection_names(headers)
    gone = HOP_BY_HOP | named if named else HOP_BY_HOP
    out = [
        pair
        for pair in headers
        if pair[0] not in gone and (pair[0][:10] != b"x-gateway-" or pair[0] == _TOLD_BEFORE)
    ]
    if len(dict(out)) == len(out):
        return out
    length = first(out, b"content-length")
    # Equal lines say one thing, and are sent once (RFC 9110, section 8.6).
    return out if length is None else replaced(out, b"content-length", length)


def response_problem(headers: RawHeaders) -> str | None:
    """Why a response's head cannot be relayed; None where nothing is wrong."""
    if len(headers) > RESPONSE_LINES:
        return f"more than {RESPONSE_LINES} header lines"
    if sum(map(len, chain.from_iterable(headers))) > RESPONSE_BYTES:
        return f"headers of more than {RESPONSE_BYTES} bytes"
    return framing_problem(headers)


def framing_problem(headers: RawHeaders) -> str | None:
    """Why it is in doubt where a response ends, and so what else its connection carries; None for no doubt.

    RFC 9112, sections 5 and 6.3.
    """
    names = [name for name, _ in headers]
    found = _malformed(names, b"".join(names), b"".join([value for _, value in headers]))
    if found is not None:
        return found
    lengths = {value for name, value in headers if name == b"content-length"}
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings and lengths:
        return "both Content-Length and Transfer-Encoding"
    if len(codings) > 1 or (codings and codings[0].strip().lower() != b"chunked"):
        return "a Transfer-Encoding other than one chunked"
    if len(lengths) > 1 or any(not length.isdigit() or len(length) > _DIGITS for length in lengths):
        return "more than one Content-Length, or one that is not a number"
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
