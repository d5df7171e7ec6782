"""Errors of the upstream: bodies and headers brought into step, and everything else left alone."""

import pytest

from gateway.errors import reads_error
from tests.support.upstream_errors import GOOD, JSON_TYPE, error, normalised, values


def test_conforming_with_equal_header() -> None:
    """A body that conforms and a header that agrees pass as they are."""
    headers = [JSON_TYPE, (b"content-length", b"%d" % len(GOOD)), (b"x-ms-error-code", b"ValidationFailed")]
    result = normalised(GOOD, *headers)
    assert result.body is GOOD
    assert result.headers == [*headers, (b"x-gateway-error-origin", b"upstream")]
    assert (result.code, result.reason) == ("ValidationFailed", None)


def test_conforming_without_header() -> None:
    """A body that conforms keeps its bytes and gets the header it lacks."""
    result = normalised(GOOD, JSON_TYPE)
    assert result.body is GOOD
    assert values(result, b"x-ms-error-code") == [b"ValidationFailed"]
    assert (result.reason, result.rewritten) == ("header-missing", False)


@pytest.mark.parametrize(
    "told", [[b"Other"], [b"Other", b"ValidationFailed"], [b"validationfailed"], [b""], [b"bad value"]]
)
def test_header_and_body_differ(told: list[bytes]) -> None:
    """Where header and body differ, the body's code wins and the mismatch is told."""
    result = normalised(GOOD, JSON_TYPE, *((b"x-ms-error-code", value) for value in told))
    assert result.body is GOOD
    assert values(result, b"x-ms-error-code") == [b"ValidationFailed"]
    assert (result.reason, result.rewritten) == ("mismatch", False)


def test_repeated_equal_header_is_sent_once() -> None:
    """Two equal code headers are no mismatch, and one is sent."""
    result = normalised(GOOD, JSON_TYPE, *[(b"x-ms-error-code", b"ValidationFailed")] * 2)
    assert values(result, b"x-ms-error-code") == [b"ValidationFailed"]
    assert result.reason is None


@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_header_only(body: bytes) -> None:
    """An empty body is made from the header."""
    result = normalised(body, (b"x-ms-error-code", b"DigitalTwinNotFound"), status=404)
    assert error(result)["code"] == "DigitalTwinNotFound"
    assert error(result)["message"] == "The upstream answered 404 with no body."
    assert result.reason == "header-only"


def test_missing_role_assignment() -> None:
    """The empty 403 of a missing role assignment becomes Forbidden, with a hint."""
    found = error(normalised(b"", (b"content-length", b"0"), status=403))
    assert found["code"] == "Forbidden"
    assert "role assignment" in found["message"]


def test_header_names_the_code_of_an_unreadable_body() -> None:
    """The header's code is used where the body tells none."""
    result = normalised(
        b"<html>", (b"content-type", b"text/html"), (b"x-ms-error-code", b"QuotaReachedError")
    )
    assert error(result)["code"] == "QuotaReachedError"


@pytest.mark.parametrize("unsafe", [b"a b", b"x" * 129, b"a,b", b"\xff", b"<b>", b""])
def test_unsafe_header_code_is_not_used(unsafe: bytes) -> None:
    """A code that is no short token is replaced by the status's."""
    assert error(normalised(b"", (b"x-ms-error-code", unsafe), status=404))["code"] == "NotFound"


@pytest.mark.parametrize("body", [GOOD, b"", None, b'{"error":"invalid_token"}'])
@pytest.mark.parametrize("owns_token", [True, False])
def test_challenge_belongs_to_the_owner_of_the_token(body: bytes | None, owns_token: bool) -> None:
    """WWW-Authenticate is removed where the gateway owns the token, and else passes unchanged."""
    challenges = [
        (b"www-authenticate", b'Bearer error="insufficient_claims", claims="e30="'),
        (b"www-authenticate", b"Basic"),
    ]
    result = normalised(body, JSON_TYPE, *challenges, status=401, owns_token=owns_token)
    assert values(result, b"www-authenticate") == ([] if owns_token else [value for _, value in challenges])


@pytest.mark.parametrize(
    "types", [[], [b"text/plain"], [b"text/html"], [b"application/json", b"text/html"], [b""]]
)
def test_content_type_of_a_conforming_body(types: list[bytes]) -> None:
    """A body that conforms is labelled as JSON, since clients and browsers go by the label."""
    headers = [(b"x-ms-error-code", b"ValidationFailed"), *((b"content-type", value) for value in types)]
    result = normalised(GOOD, *headers)
    assert result.body is GOOD
    assert values(result, b"content-type") == [b"application/json; charset=utf-8"]
    assert (result.reason, result.rewritten) == ("content-type", False)


@pytest.mark.parametrize("media", [b"application/json", b"text/json", b"application/problem+json; charset=x"])
def test_other_json_types_stay(media: bytes) -> None:
    """A media type that clients parse as JSON stays as it was sent."""
    result = normalised(GOOD, (b"content-type", media), (b"x-ms-error-code", b"ValidationFailed"))
    assert values(result, b"content-type") == [media]
    assert result.reason is None


def test_too_large() -> None:
    """An unread body passes: no code is invented that it might contradict."""
    headers = [JSON_TYPE, (b"content-length", b"99999"), (b"content-encoding", b"gzip")]
    result = normalised(None, *headers, status=500)
    assert result.body is None
    assert result.headers == [*headers, (b"x-gateway-error-origin", b"upstream")]
    assert (result.code, result.reason) == ("InternalServerError", "too-large")
    told = normalised(None, *headers, (b"x-ms-error-code", b"Busy"))
    assert told.code == "Busy"
    assert values(told, b"x-ms-error-code") == [b"Busy"]


@pytest.mark.parametrize("body", [None, b""])
def test_head(body: bytes | None) -> None:
    """A HEAD gets the code in its header; the length still describes the body a GET would get."""
    result = normalised(body, JSON_TYPE, (b"content-length", b"512"), method="HEAD", status=404)
    assert result.body == b""
    assert values(result, b"x-ms-error-code") == [b"NotFound"]
    assert values(result, b"content-length") == [b"512"]
    assert result.reason is None
    told = normalised(b"", (b"x-ms-error-code", b"DigitalTwinNotFound"), method="HEAD", status=404)
    assert values(told, b"x-ms-error-code") == [b"DigitalTwinNotFound"]


def test_other_headers_survive() -> None:
    """All other headers keep order and duplicates; Retry-After is neither lost nor invented."""
    others = [
        (b"retry-after", b"7"),
        (b"x-ms-request-id", b"r"),
        (b"etag", b'W/"1"'),
        (b"operation-location", b"https://x/y"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-unknown", b"\xff"),
    ]
    for body in (GOOD, b"", b"<html>", None):
        result = normalised(body, *others, status=429)
        assert result.headers[: len(others)] == others
        assert values(normalised(body, status=429), b"retry-after") == []


def test_headers_of_the_old_body_go() -> None:
    """Digests, coding and framing of the old body do not describe the new one."""
    stale = [
        (b"content-md5", b"x"),
        (b"content-digest", b"sha-256=:x:"),
        (b"repr-digest", b"sha-256=:x:"),
        (b"transfer-encoding", b"chunked"),
        (b"content-encoding", b"br"),
    ]
    result = normalised(b"x", *stale, JSON_TYPE, (b"content-length", b"1"), (b"content-length", b"1"))
    assert error(result)
    assert not {name for name, _ in stale} & {name for name, _ in result.headers}


def test_own_headers_are_not_taken_from_upstream() -> None:
    """What looks like a statement of this gateway's is dropped when the upstream sends it."""
    forged = [
        (b"x-gateway-error-origin", b"gateway"),
        (b"x-gateway-replayed", b"1"),
        (b"x-gateway-error-normalised", b"whatever"),
    ]
    result = normalised(GOOD, JSON_TYPE, *forged)
    assert b"x-gateway-replayed" not in dict(result.headers)


def test_wrong_length_is_corrected() -> None:
    """Content-Length states what is sent."""
    result = normalised(GOOD, JSON_TYPE, (b"content-length", b"1"))
    assert values(result, b"content-length") == [b"%d" % len(GOOD)]


@pytest.mark.parametrize(
    ("method", "status", "length", "reads"),
    [
        ("GET", 400, None, True),
        ("GET", 599, b"65536", True),
        ("GET", 400, b"0", True),
        ("GET", 400, b"65537", False),
        ("GET", 400, b"9" * 5000, False),
        ("GET", 400, b"many", False),
        ("GET", 399, None, False),
        ("GET", 200, b"10", False),
        ("GET", 304, None, False),
        ("HEAD", 404, b"10", False),
    ],
)
def test_reads_error(method: str, status: int, length: bytes | None, reads: bool) -> None:
    """Only the bodies of errors that do not declare themselves too large are read."""
    headers = [] if length is None else [(b"content-length", length)]
    assert reads_error(method=method, status=status, headers=headers) is reads
