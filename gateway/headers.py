"""Header rules both ways: pure functions on lists of raw pairs, never a dict.

Names are in lower case, order and duplicates are kept. Hop-by-hop fields and those named in `Connection` end
at the gateway (RFC 9110, section 7.6.1). The app's own hop-by-hop and credential fields are removed first and
the gateway's are added after, so that no `Connection: authorization` can take ours away.
"""

import re
from collections.abc import Iterable

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
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({b"authorization", b"content-length", b"x-ms-error-code"}) | _ENDS_HERE
_SINGLE = frozenset({b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization"})


def guarding(own: Iterable[bytes]) -> frozenset[bytes]:
    """The fields that the gateway gives a meaning, and `own` as well; made once."""
    return _OURS.union(own)


def problem(headers: RawHeaders, guarded: frozenset[bytes] = _OURS) -> str | None:
    """Why request headers cannot be forwarded as one unambiguous request, or None (RFC 9110, section 5).

    An underscore twin of a field that is `guarded` is refused, because some servers read `x_y` as `x-y`.
    """
    seen: set[bytes] = set()
    for name, value in headers:
        found = _line_problem(name, value, guarded)
        if found is not None:
            return found
        if name in _SINGLE:
            if name in seen:
                return f"more than one {name.decode()} header"
            seen.add(name)
    if b"content-length" in seen and b"transfer-encoding" in seen:
        return "both content-length and transfer-encoding"
    return None


def _line_problem(name: bytes, value: bytes, guarded: frozenset[bytes]) -> str | None:
    if not _TOKEN.fullmatch(name):
        return "a header name is not a token"
    if _BAD_VALUE.search(value):
        return "a header value has a control character"
    if not value.isascii() and not _is_utf8(value):
        return "a header value is neither ASCII nor UTF-8"
    if b"_" in name and name.replace(b"_", b"-").strip(b"-") in guarded:
        return "a header name imitates one of the gateway's"
    if name == b"content-length" and not (value.isdigit() and len(value) <= _DIGITS):
        return "a content-length that is not a number"
    if name == b"transfer-encoding" and value.lower() != b"chunked":
        return "a transfer-encoding other than chunked"
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
    out: RawHeaders = [(b"host", host)]
    via = []
    for pair in headers:
        name = pair[0]
        if name == b"via" and name not in named:
            via.append(pair[1])
        elif name not in gone and not (identity and name == b"accept-encoding"):
            out.append(pair)
    if identity:
        out.append((b"accept-encoding", b"identity"))
    out.append((b"via", b", ".join([*via, VIA]) if via else VIA))
    out.extend(add)
    return out


def _connection_names(headers: RawHeaders) -> frozenset[bytes]:
    lines = [value for name, value in headers if name == b"connection"]
    if not lines:
        return _NONE
    named = (part.strip().lower() for line in lines for part in line.split(b","))
    # Fields that frame or describe the body are end-to-end, whatever Connection says.
    return frozenset(named) - _ALWAYS_END_TO_END


def to_downstream(headers: RawHeaders) -> RawHeaders:
    """The app's copy of the upstream's response headers."""
    gone = HOP_BY_HOP | _connection_names(headers)
    out: RawHeaders = []
    framed = False
    for pair in headers:
        if pair[0] in gone or (pair[0].startswith(b"x-gateway-") and pair[0] != _TOLD_BEFORE):
            continue
        if pair[0] == b"content-length":
            # Equal lines say one thing, and are sent once (RFC 9110, section 8.6).
            if framed:
                continue
            framed = True
        out.append(pair)
    return out


def response_problem(headers: RawHeaders) -> str | None:
    """Why a response's head cannot be relayed; None where nothing is wrong."""
    if len(headers) > RESPONSE_LINES:
        return f"more than {RESPONSE_LINES} header lines"
    if sum(len(name) + len(value) for name, value in headers) > RESPONSE_BYTES:
        return f"headers of more than {RESPONSE_BYTES} bytes"
    return framing_problem(headers)


def framing_problem(headers: RawHeaders) -> str | None:
    """Why it is in doubt where a response ends, and so what else its connection carries; None for no doubt.

    RFC 9112, sections 5 and 6.3.
    """
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            return "a header name is not a token"
        if _BAD_VALUE.search(value):
            return "a header value has a control character"
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
    for key, value in headers:
        if key == name:
            return value
    return None


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
