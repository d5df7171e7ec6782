"""Corners of the normaliser that only one wrong line would change."""

import gzip
import json

import pytest

from gateway.errors import Normalised, normalise
from gateway.errors.body import MESSAGE_LIMIT, clean
from gateway.errors.reading import is_json, media_type, plain
from gateway.exchange import RawHeaders

GOOD = b'{"error":{"code":"Busy","message":"x"}}'
JSON = (b"content-type", b"application/json")


NOT_SHOWN = "The upstream answered 403 with a body that cannot be shown."


def given(body: bytes, *headers: tuple[bytes, bytes], status: int = 400) -> Normalised:
    return normalise(method="GET", status=status, headers=list(headers), body=body, owns_token=True)


def message(result: Normalised) -> str:
    told: str = json.loads(result.body or b"")["error"]["message"]
    return told


def test_text_without_a_type_is_shown() -> None:
    """A body that has no media type is plain text, if it is text."""
    result = given(b"try again\nlater")
    assert (result.reason, message(result)) == ("text", "try again later")


def test_text_of_another_type_is_not_shown() -> None:
    """A body that says it is an image is no text, whatever it holds."""
    result = given(b"try again", (b"content-type", b"image/png"))
    assert (result.reason, message(result)) == (
        "unreadable",
        "The upstream answered 400 with a body that cannot be shown.",
    )


@pytest.mark.parametrize(
    ("media", "document", "reason", "said"),
    [
        (b"application/json", {"detail": "d", "message": "m", "code": "X"}, "top-level", "m"),
        (b"application/json", {"error": {"code": "X", "Message": "m"}}, "casing", "m"),
        (b"application/json", {"error": {"Code": "X", "message": "m"}}, "casing", "m"),
        (b"application/json", {"Error": {"code": "X", "message": "m"}}, "casing", "m"),
        (b"application/json", {"error": {"message": "m"}}, "incomplete", "m"),
        (b"application/json", {"error": "no code", "error_description": "d"}, "oauth", "d"),
        (b"application/json", {"error": "no code"}, "oauth", "no code"),
        (b"application/json", {"error": "invalid_token", "error_description": "d"}, "oauth", "d"),
        (b"application/json", {"detail": "d", "title": "t"}, "problem-json", "d"),
        (b"application/json", {"title": "t"}, "problem-json", "t"),
        (b"application/problem+json", {"message": "m"}, "problem-json", "m"),
        (b"application/problem+json", {"title": "t", "message": "m"}, "problem-json", "t"),
        (
            b"application/json",
            {"message": "Sub-domain not found. x"},
            "sub-domain",
            "Sub-domain not found. x The tenant of the token or the host in upstream.base_url may be wrong.",
        ),
    ],
)
def test_which_member_is_the_message(media: bytes, document: object, reason: str, said: str) -> None:
    """What a shape calls its message is taken, and a hint is added where the cause is known."""
    result = given(json.dumps(document).encode(), (b"content-type", media))
    assert (result.reason, message(result)) == (reason, said)


def test_what_else_is_kept_of_a_rewritten_error() -> None:
    """Target, details and innererror, under their own names, cleaned; nothing else."""
    inner = {"Code": "I", "Target": "t\n2", "x": 1, "innererror": {"code": "J"}}
    error = {
        "Code": "X",
        "message": "m",
        "Target": "sig=abcdef",
        "Details": [inner, 7],
        "InnerError": inner,
        "y": 2,
    }
    kept = {"code": "I", "target": "t 2", "innererror": {"code": "J"}}
    assert json.loads(given(json.dumps({"error": error}).encode(), JSON).body or b"")["error"] == {
        "code": "X",
        "message": "m",
        "target": "sig=***",
        "details": [kept],
        "innererror": kept,
    }


@pytest.mark.parametrize("name", ["details", "innererror"])
def test_twelve_levels_are_kept(name: str) -> None:
    """What is nested deeper in a body that is written anew is left out."""
    error: dict[str, object] = {"code": "X"}
    for _ in range(40):
        error = {"code": "X", name: [error] if name == "details" else error}
    kept = json.loads(given(json.dumps({"error": error}).encode(), JSON).body or b"")["error"]
    levels = 0
    while name in kept:
        kept = kept[name][0] if name == "details" else kept[name]
        levels += 1
    assert levels == 12


@pytest.mark.parametrize("odd", [[], {}, "text", 7, {"code": "I"}, None])
def test_details_that_are_no_list_of_errors_go(odd: object) -> None:
    """In a body that is written anew, what no client could read is left out, and so is an empty list."""
    error = given(json.dumps({"error": {"Code": "X", "message": "m", "details": odd}}).encode(), JSON)
    assert json.loads(error.body or b"")["error"] == {"code": "X", "message": "m"}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize(("containers", "reason"), [(32, None), (33, "too-deep")])
def test_32_containers_may_be_nested(opening: str, containers: int, reason: str | None) -> None:
    """A deeper body is written anew; values at the bottom do not count."""
    inside = containers - 2
    nested = opening * inside + "1" + ("]" if opening == "[" else "}") * inside
    body = f'{{"error":{{"code":"X","message":"m","n":1,"x":{nested},"y":"z"}}}}'.encode()
    assert given(body, JSON, (b"x-ms-error-code", b"X")).reason == reason


def test_the_exact_name_goes_before_another_casing() -> None:
    """Of two members that differ in case, the one that is spelt right is read."""
    error = {"CODE": "A", "code": "B", "Message": "x"}
    assert given(json.dumps({"error": error}).encode(), JSON).code == "B"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("https://x.example/errors/Busy", "Busy"),
        ("https://x.example/errors/Busy/", "Busy"),
        ("https://x.example/errors#Busy", "Busy"),
        ("urn:problem:Busy", "Busy"),
        ("https://example.com/probs/NoFAX/", "NoFAX"),
        ("https://x.example/a b", "BadRequest"),
        ("https://www.rfc-editor.org/rfc/rfc9110#section-15.5.1", "BadRequest"),
        ("https://www.rfc-editor.org/rfc/rfc9110#Section-15.5.1", "BadRequest"),
        ("https://tools.example/RFC7231", "BadRequest"),
        ("about:blank", "BadRequest"),
        ("", "BadRequest"),
    ],
)
def test_codes_in_the_type_of_a_problem(uri: str, code: str) -> None:
    """The last part of a problem's type is its code, unless it names a document."""
    body = json.dumps({"type": uri, "title": "t"}).encode()
    assert given(body, (b"content-type", b"application/problem+json")).code == code


def test_messages_have_a_bound() -> None:
    """2,048 bytes; blanks within are kept, and text over the bound is not shown at all."""
    assert clean("a  b") == "a  b"
    assert (len(clean("a" * 2_048)), len(clean("a" * 2_049)), MESSAGE_LIMIT) == (2_048, 2_048, 2_048)
    assert message(given(b"a" * 2_048)) == "a" * 2_048
    assert message(given(b"a" * 2_049)).endswith("cannot be shown.")


def test_no_length_is_made_up() -> None:
    """A conforming body that came in chunks goes on in chunks; a length that was there is put right."""
    assert [name for name, _ in given(GOOD, JSON).headers if name == b"content-length"] == []
    corrected = given(GOOD, JSON, (b"content-length", b"7"))
    assert (b"content-length", b"%d" % len(GOOD)) in corrected.headers


def test_what_an_earlier_gateway_said_stands_once() -> None:
    """Of two reasons the first that is known stays."""
    name = b"x-gateway-error-normalised"
    lines: RawHeaders = [JSON, (name, b"nonsense"), (name, b"html"), (name, b"text")]
    assert [value for key, value in given(GOOD, *lines).headers if key == name] == [b"html"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"", [], 500, "The upstream answered 500 with no body."),
        (b" \n", [(b"x-ms-error-code", b"Busy")], 409, "The upstream answered 409 with no body."),
        (b"<html>", [], 502, "The upstream answered 502 with a body that cannot be shown."),
        (
            b"",
            [],
            403,
            "The upstream answered 403 with no body. A missing role assignment looks like this.",
        ),
        (
            b"[1]",
            [JSON],
            403,
            f"{NOT_SHOWN} A missing role assignment looks like this.",
        ),
    ],
)
def test_what_is_said_where_the_upstream_said_nothing(
    body: bytes, headers: RawHeaders, status: int, said: str
) -> None:
    """The status, whether there was a body, and a hint where it is known what a status means here."""
    assert message(given(body, *headers, status=status)) == said


@pytest.mark.parametrize(
    ("media", "json_or_not"),
    [
        (b"application/json", True),
        (b"text/json", True),
        (b"application/problem+json", True),
        (b"application/a.b+c+json", True),
        (b"application/jsonx", False),
        (b"application/x-json", False),
        (b"image/json", False),
        (b"xapplication/json", False),
        (b"application/+json", False),
        (b"application/a b+json", False),
        (b"json", False),
        (b"", False),
    ],
)
def test_media_types_that_clients_parse(media: bytes, json_or_not: bool) -> None:
    """JSON and what ends in +json, of the two types that have it; the whole name counts."""
    assert is_json(media) is json_or_not
    assert media_type(b" " + media.upper() + b" ; charset=x;json") == media


def test_every_byte_of_a_json_type() -> None:
    """A name before +json has the characters of RFC 6838, in lower case."""
    allowed = set(b"abcdefghijklmnopqrstuvwxyz0123456789.!#$&^_-")
    for code in range(256):
        assert is_json(b"application/" + bytes([code]) + b"+json") == (code in allowed)


def test_codings_that_mean_nothing_are_passed_over() -> None:
    """`identity` in any spelling beside one real coding; two real ones are not undone."""
    packed = gzip.compress(GOOD)
    for codings in (
        [b"gzip"],
        [b" GZIP , Identity "],
        [b"gzip", b" identity"],
        [b"", b"x-gzip"],
        [b"Identity,,gzip"],
    ):
        assert plain(packed, codings) == GOOD, codings
    assert plain(packed, [b"gzip, gzip"]) is None
    assert plain(packed, [b"gzip", b"deflate"]) is None
    assert plain(GOOD, [b"br"]) is None
    assert plain(GOOD, [b"identity", b"IDENTITY"]) == GOOD
    assert plain(b"", [b"br, gzip"]) == b""
    assert plain(b"\xef\xbb\xbf" + GOOD, []) == GOOD
