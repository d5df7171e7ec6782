"""Bodies of upstream errors that are not plain JSON: pages, text, broken or compressed ones."""

import gzip
import zlib

import pytest

from gateway.errors import ERROR_BODY_CAP, REFERENCE_CODES
from gateway.errors.body import MESSAGE_LIMIT
from gateway.errors.reading import DECODED_CAP
from tests.support.upstream_errors import GOOD, JSON_TYPE, error, normalised


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (429, "TooManyRequests"),
        (502, "BadGateway"),
        (503, "ServiceUnavailable"),
        (504, "GatewayTimeout"),
        (418, "ClientError"),
        (599, "ServerError"),
    ],
)
@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"", None, "empty"),
        (b"<html><script>alert(1)</script></html>", b"text/html", "html"),
        (b"Service busy", b"text/plain", "text"),
        (b"\x89PNG\r\n", b"image/png", "unreadable"),
    ],
)
def test_neither_header_nor_body(
    status: int, code: str, body: bytes, content_type: bytes | None, reason: str
) -> None:
    """Without header and readable body the code comes from the status."""
    headers = [(b"content-type", content_type)] if content_type else []
    result = normalised(body, *headers, status=status)
    assert error(result)["code"] == code
    assert result.reason == reason
    assert code in REFERENCE_CODES


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<!DOCTYPE html><h1>evil</h1>", b"text/html; charset=utf-8"),
        (b"evil", b"TEXT/HTML"),
        (b"  <H1>evil</H1>", b"text/plain"),
        (b"see <a href=//evil>this</a>", b"text/plain"),
        (b"<?xml version='1.0'?><evil/>", b"application/xml"),
        (b"<html>evil</html>", b"application/json"),
        (b"<html>evil</html>", b""),
    ],
)
def test_html_is_never_echoed(body: bytes, content_type: bytes) -> None:
    """No part of a page gets into the message, whatever its media type claims."""
    result = normalised(body, (b"content-type", content_type), status=502)
    assert "evil" not in error(result)["message"]
    assert result.reason in {"html", "invalid-json"}


def test_text_is_kept_where_short() -> None:
    """Short printable text is the message, on one line."""
    for body, message in (
        (b"Too\r\n busy ", "Too busy"),
        (b"404", "404"),
        (b"x" * MESSAGE_LIMIT, "x" * MESSAGE_LIMIT),
    ):
        assert error(normalised(body, (b"content-type", b"text/plain ;charset=x")))["message"] == message


@pytest.mark.parametrize(
    "body", [b"x" * (MESSAGE_LIMIT + 1), b"a\x1b[31mb", b"\xff\xfe", "a\u202eb".encode(), b"\x00"], ids=repr
)
def test_other_text_is_not_shown(body: bytes) -> None:
    """Long text, control characters and broken UTF-8 are not shown."""
    result = normalised(body, (b"content-type", b"text/plain"))
    assert error(result)["message"] == "The upstream answered 400 with a body that cannot be shown."


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        GOOD[:-1],
        GOOD + b"x",
        b"not json",
        GOOD.decode().encode("utf-16"),
        b'{"error":{"code":"A","message":"\xe9"}}',
        b'{"error":{"code":"A","message":"\\ud800"}}',
        b'{"error":NaN}',
        b"[" * 30_000,
        b"1" * 60_000,
    ],
    ids=range(10),
)
def test_broken_json(body: bytes) -> None:
    """A JSON media type whose body does not parse still gives a well-formed error."""
    result = normalised(body, JSON_TYPE, (b"content-length", b"%d" % len(body)), status=500)
    assert error(result)["code"] == "InternalServerError"
    assert result.reason == "invalid-json"


def test_deep_json() -> None:
    """An error ten thousand levels deep is well formed for the app, be it more than this Python can read."""
    result = normalised(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, JSON_TYPE, status=500)
    assert error(result)["code"] == "InternalServerError"
    assert result.reason in {"invalid-json", "shape"}


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(GOOD, mtime=0)),
        (b"GZIP", gzip.compress(GOOD, mtime=0)),
        (b"x-gzip", gzip.compress(GOOD, mtime=0)),
        (b"deflate", zlib.compress(GOOD)),
        (b"identity, gzip", gzip.compress(GOOD, mtime=0)),
    ],
)
def test_compressed(coding: bytes, body: bytes) -> None:
    """A compressed body that conforms is decoded, and its headers say so."""
    result = normalised(
        body, JSON_TYPE, (b"content-encoding", coding), (b"content-length", b"%d" % len(body))
    )
    assert result.body == GOOD
    assert error(result)["code"] == "ValidationFailed"
    assert result.reason == "encoding"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(GOOD)[:-4]),
        (b"gzip", GOOD),
        (b"br", b"\x8b\x02\x80{}\x03"),
        (b"zstd", b"\x28\xb5\x2f\xfd"),
        (b"gzip, gzip", gzip.compress(gzip.compress(GOOD))),
        (b"gzip", gzip.compress(b" " * 50_000_000)),
        (b"unknown", GOOD),
    ],
    ids=range(7),
)
def test_compressed_beyond_reading(coding: bytes, body: bytes) -> None:
    """What cannot be decoded within the cap, a bomb too, is replaced; the header tells the code."""
    assert len(body) <= ERROR_BODY_CAP
    result = normalised(body, JSON_TYPE, (b"content-encoding", coding), (b"x-ms-error-code", b"Busy"))
    assert error(result)["code"] == "Busy"
    assert result.reason == "encoding"


@pytest.mark.parametrize(("size", "kept"), [(DECODED_CAP, True), (DECODED_CAP + 1, False)])
def test_decoded_cap(size: int, kept: bool) -> None:
    """A compressed body may decode to the cap and to no byte more."""
    plain = GOOD.ljust(size)
    result = normalised(gzip.compress(plain), JSON_TYPE, (b"content-encoding", b"gzip"))
    assert (result.body == plain) is kept
    assert result.reason == "encoding"


def test_compressed_shape() -> None:
    """A compressed body of another shape is decoded and named after its shape."""
    body = gzip.compress(b'{"code":"Busy","message":"Later."}')
    result = normalised(body, JSON_TYPE, (b"content-encoding", b"gzip"))
    assert error(result)["message"] == "Later."
    assert result.reason == "top-level"


def test_byte_order_mark() -> None:
    """A byte order mark is tolerated and not passed on."""
    result = normalised(b"\xef\xbb\xbf" + GOOD, JSON_TYPE)
    assert result.body == GOOD
    assert result.reason == "encoding"
