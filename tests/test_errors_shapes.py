"""JSON errors of the upstream: each known shape, and what the app gets for it."""

import json

import msgspec
import pytest

from tests.support.upstream_errors import JSON_TYPE, error, normalised


def test_sub_domain() -> None:
    """The 404 of a wrong tenant or host has a code of its own, its message, and a hint."""
    result = normalised(b'{"statusCode":404,"message":"Sub-domain not found."}', JSON_TYPE, status=404)
    found = error(result)
    assert found["code"] == "SubDomainNotFound"
    assert found["message"].startswith("Sub-domain not found.")
    assert "tenant" in found["message"]
    assert "host" in found["message"]
    assert result.reason == "sub-domain"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"error":"invalid_token","error_description":"It expired."}', "invalid_token", "It expired."),
        (b'{"error":"invalid_token"}', "invalid_token", None),
        (b'{"error":"The token expired"}', "Unauthorized", "The token expired"),
        (b'{"error":""}', "Unauthorized", None),
    ],
)
def test_oauth(body: bytes, code: str, message: str | None) -> None:
    """An OAuth error keeps its code and its description."""
    result = normalised(body, JSON_TYPE, status=401)
    found = error(result)
    assert found["code"] == code
    assert found["message"] == (message or "The upstream answered 401 with a body that cannot be shown.")
    assert result.reason == "oauth"


@pytest.mark.parametrize(
    ("body", "reason", "code", "message"),
    [
        ({"code": "Busy", "message": "Later."}, "top-level", "Busy", "Later."),
        ({"Code": "Busy", "Message": "Later."}, "top-level", "Busy", "Later."),
        ({"code": "Busy"}, "top-level", "Busy", None),
        ({"statusCode": 400, "message": "Later."}, "top-level", "BadRequest", "Later."),
        ({"Message": "Later."}, "top-level", "BadRequest", "Later."),
        ({"Error": {"Code": "Busy", "Message": "Later."}}, "casing", "Busy", "Later."),
        ({"error": {"Code": "Busy", "message": "Later."}}, "casing", "Busy", "Later."),
        ({"ERROR": {"code": "Busy", "message": "Later."}}, "casing", "Busy", "Later."),
        ({"error": {"code": "Busy"}}, "incomplete", "Busy", None),
        ({"error": {"message": "Later."}}, "incomplete", "BadRequest", "Later."),
        ({"error": {"code": 17, "message": "Later."}}, "incomplete", "BadRequest", "Later."),
        ({"error": {"code": "a b", "message": "Later."}}, "incomplete", "BadRequest", "Later."),
        ({"error": {"code": "Busy", "message": ["Later."]}}, "incomplete", "Busy", None),
        ({"error": {"code": "Busy", "message": "Later.", "details": {}}}, "incomplete", "Busy", "Later."),
        ({"error": {"code": "Busy", "message": "Later.", "details": [1]}}, "incomplete", "Busy", "Later."),
        ({"error": {"code": "Busy", "message": "Later.", "innererror": 1}}, "incomplete", "Busy", "Later."),
        ({"error": {}}, "incomplete", "BadRequest", None),
        ({"error": None}, "shape", "BadRequest", None),
        ({}, "shape", "BadRequest", None),
        ([], "shape", "BadRequest", None),
        ("Later.", "shape", "BadRequest", None),
        (None, "shape", "BadRequest", None),
    ],
)
def test_other_shapes(body: object, reason: str, code: str, message: str | None) -> None:
    """Errors at top level, in other casing or in parts are wrapped, recased and completed."""
    result = normalised(json.dumps(body).encode(), JSON_TYPE)
    found = error(result)
    assert result.reason == reason
    assert found["code"] == code
    assert found["message"] == (message or "The upstream answered 400 with a body that cannot be shown.")


@pytest.mark.parametrize(
    ("problem", "code", "message"),
    [
        ({"code": "OutOfCredit", "type": "https://x/y", "detail": "d", "title": "t"}, "OutOfCredit", "d"),
        ({"type": "https://example.com/probs/out-of-credit", "title": "t"}, "out-of-credit", "t"),
        ({"type": "https://example.com/probs#Busy", "title": "t"}, "Busy", "t"),
        ({"type": "urn:problem:Busy", "title": "t"}, "Busy", "t"),
        ({"type": "about:blank", "title": "t"}, "BadRequest", "t"),
        ({"type": "https://tools.ietf.org/html/rfc7231#section-6.5.4", "title": "t"}, "BadRequest", "t"),
        ({"type": "https://datatracker.ietf.org/doc/html/rfc9110", "title": "t"}, "BadRequest", "t"),
        ({"code": "no token", "title": "t"}, "BadRequest", "t"),
        ({"status": 400, "detail": "d"}, "BadRequest", "d"),
    ],
)
def test_problem_json(problem: dict[str, object], code: str, message: str) -> None:
    """RFC 9457: code from the extension, else type, else status; message from detail or title."""
    for content_type in (b"application/problem+json", b"application/json"):
        result = normalised(json.dumps(problem).encode(), (b"content-type", content_type))
        found = error(result)
        assert (found["code"], found["message"], result.reason) == (code, message, "problem-json")


def test_problem_json_without_text() -> None:
    """A problem that tells only its type still becomes an ErrorResponse."""
    result = normalised(b'{"type":"urn:x:Busy"}', (b"content-type", b"application/problem+json"))
    assert error(result)["code"] == "Busy"


def test_details_are_kept_in_a_rewritten_body() -> None:
    """Details and innererror survive, recased and cleaned, and nothing else does."""
    body = {
        "Code": "Busy",
        "Message": "Later.",
        "Details": [{"Code": "Inner", "Message": "a\nb sig=secret", "Extra": 1}, 5],
        "InnerError": {"Code": "Deeper", "innerError": {"code": "Deepest"}},
        "stack": "…",
    }
    assert error(normalised(json.dumps({"Error": body}).encode(), JSON_TYPE)) == {
        "code": "Busy",
        "message": "Later.",
        "details": [{"code": "Inner", "message": "a b sig=***"}],
        "innererror": {"code": "Deeper", "innererror": {"code": "Deepest"}},
    }


@pytest.mark.parametrize("depth", [10, 31])
def test_nesting_within_the_cap_passes(depth: int) -> None:
    """A body that conforms passes with nesting up to the cap."""
    body = nested(depth)
    assert normalised(body, JSON_TYPE, (b"x-ms-error-code", b"Busy")).body is body


@pytest.mark.parametrize("depth", [32, 200, 800])
def test_nesting_is_capped(depth: int) -> None:
    """Deeper nesting than the cap is cut, and the error stays well-formed."""
    result = normalised(nested(depth), JSON_TYPE, (b"x-ms-error-code", b"Busy"))
    inner: object = error(result)
    levels = 0
    while isinstance(inner, dict) and "innererror" in inner:
        inner, levels = inner["innererror"], levels + 1
    assert levels == 12
    assert result.reason == "too-deep"


def nested(depth: int) -> bytes:
    """A body with `depth` containers around its innermost error."""
    inner = b"{}"
    for _ in range(depth - 2):
        inner = b'{"innererror":%b}' % inner
    return b'{"error":{"code":"Busy","message":"","innererror":%b}}' % inner


def test_conforming_body_with_details_and_more() -> None:
    """Members that the shape does not name are no reason to rewrite a body."""
    error_member = {"code": "A", "message": "", "details": [], "innererror": None, "target": "x", "new": [1]}
    body = msgspec.json.encode({"error": error_member, "traceId": "1"})
    assert normalised(body, JSON_TYPE, (b"x-ms-error-code", b"A")).body is body
