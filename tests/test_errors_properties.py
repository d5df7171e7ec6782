"""Properties of the normaliser that hold for any bytes an upstream can send."""

import gzip
import json

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import REASONS, Normalised, normalise
from gateway.errors.codes import is_code
from gateway.exchange import RawHeaders


class Error(msgspec.Struct):
    """The reference's Error, as a client declares it."""

    code: str
    message: str
    details: list[dict[str, object]] | None = None
    innererror: dict[str, object] | None = None


class ErrorResponse(msgspec.Struct):
    """The reference's ErrorResponse."""

    error: Error


NAMES_OF_MEMBERS = (
    "error Error code Code message Message details innererror InnerError error_description "
    "type title detail status statusCode x"
)
KEYS = st.sampled_from(NAMES_OF_MEMBERS.split())
TEXT = st.sampled_from(
    ["Busy", "invalid_token", "Sub-domain not found.", "a b", "", "about:blank", "https://x/y#Z", "sig=abcd"]
) | st.text(max_size=8)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
JSON_BODIES = DOCUMENTS.map(lambda document: json.dumps(document).encode(errors="replace"))
BODIES = st.one_of(
    st.binary(max_size=64), JSON_BODIES, JSON_BODIES.map(gzip.compress), JSON_BODIES.map(lambda b: b[:-1])
)
CONTENT = (
    b"application/json text/html text/plain gzip br identity deflate application/problem+json;charset=utf-8"
)
VALUES = st.binary(max_size=12) | st.sampled_from(
    [
        *CONTENT.split(),
        b"Busy",
        b"upstream",
        b"gateway",
        b"12",
        *sorted(reason.encode() for reason in REASONS),
    ]
)
NAMES = st.sampled_from(
    (
        b"content-type content-length content-encoding transfer-encoding x-ms-error-code www-authenticate "
        b"x-gateway-error-origin x-gateway-error-normalised x-gateway-replayed retry-after set-cookie x-other"
    ).split()
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
CHANGED = {
    b"content-type",
    b"content-length",
    b"content-encoding",
    b"transfer-encoding",
    b"x-ms-error-code",
    b"www-authenticate",
}


def once(
    method: str, status: int, headers: RawHeaders, body: bytes | None, *, owns_token: bool
) -> Normalised:
    return normalise(method=method, status=status, headers=headers, body=body, owns_token=owns_token)


METHODS = st.sampled_from(["GET", "POST", "HEAD"])
STATUSES = st.integers(400, 999)


@given(METHODS, STATUSES, HEADERS, st.none() | BODIES, st.booleans())
@example("GET", 400, [(b"content-type", b"application/json")], b'{"error":"sig=abcd"}', True)
def test_twice_is_once(
    method: str, status: int, headers: RawHeaders, body: bytes | None, owns_token: bool
) -> None:
    """Normalising what was normalised changes nothing."""
    first = once(method, status, headers, body, owns_token=owns_token)
    second = once(method, status, first.headers, first.body, owns_token=owns_token)
    assert (second.headers, second.body, second.code) == (first.headers, first.body, first.code)
    assert not second.rewritten
    assert second.reason == ("too-large" if body is None and method != "HEAD" else None)


@given(STATUSES, HEADERS, BODIES)
def test_always_an_error_response(status: int, headers: RawHeaders, body: bytes) -> None:
    """Whatever came, the app gets an ErrorResponse whose code is in the header and whose length is right."""
    result = once("GET", status, headers, body, owns_token=True)
    assert result.body is not None
    parsed = msgspec.json.decode(result.body, type=ErrorResponse)
    assert json.loads(result.body)["error"]["code"] == parsed.error.code == result.code
    assert is_code(result.code)
    told = [value for name, value in result.headers if name == b"x-ms-error-code"]
    assert told == [result.code.encode()]
    lengths = [value for name, value in result.headers if name == b"content-length"]
    assert lengths in ([], [b"%d" % len(result.body)])
    assert result.rewritten or result.body == body


@given(METHODS, STATUSES, HEADERS, st.none() | BODIES, st.booleans())
def test_other_headers_pass(
    method: str, status: int, headers: RawHeaders, body: bytes | None, owns_token: bool
) -> None:
    """Headers that neither describe the body nor name the code keep their order, count and bytes."""
    result = once(method, status, headers, body, owns_token=owns_token)

    def others(pairs: RawHeaders) -> RawHeaders:
        return [pair for pair in pairs if pair[0] not in CHANGED and not pair[0].startswith(b"x-gateway-")]

    assert others(result.headers) == others(headers)


@given(METHODS, STATUSES, HEADERS, st.none() | BODIES, st.booleans())
def test_origin_and_reason(
    method: str, status: int, headers: RawHeaders, body: bytes | None, owns_token: bool
) -> None:
    """The origin stands once, and every reason is one of the closed set."""
    result = once(method, status, headers, body, owns_token=owns_token)
    assert [value for name, value in result.headers if name == b"x-gateway-error-origin"] == [b"upstream"]
    assert result.reason is None or result.reason in REASONS
    reasons = [value.decode() for name, value in result.headers if name == b"x-gateway-error-normalised"]
    assert len(reasons) <= 1
    assert REASONS.issuperset(reasons)
