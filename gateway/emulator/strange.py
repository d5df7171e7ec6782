"""Errors as the service and what stands before it really send them, by name, for `POST /_emulator/faults`.

None of them follows the documented `ErrorResponse`; a client or gateway has to cope with each.
"""

import base64
import gzip
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.emulator.exchange import Answer

JSON: Final = ("Content-Type", "application/json")
HTML: Final = ("Content-Type", "text/html")


def conforming() -> Answer:
    """A 429 as documented, header and body equal."""
    return told(
        429,
        {"error": {"code": "TooManyRequests", "message": "Slow down."}},
        ("x-ms-error-code", "TooManyRequests"),
    )


def no_header() -> Answer:
    """A documented body without `x-ms-error-code`."""
    return told(400, {"error": {"code": "ValidationFailed", "message": "The request is not valid."}})


def mismatch() -> Answer:
    """Header and body name different codes."""
    body = {"error": {"code": "ValidationFailed", "message": "The request is not valid."}}
    return told(400, body, ("x-ms-error-code", "JobLimitReached"))


def header_only() -> Answer:
    """The code in the header, an empty body."""
    return Answer(403, [("x-ms-error-code", "AuthorizationFailed")])


def empty_403() -> Answer:
    """What a caller without a role on the instance gets: nothing but the status."""
    return Answer(403)


def html_502() -> Answer:
    """A load balancer's page, with a script no client should ever show."""
    page = b"<html><body><script>alert(1)</script><h1>502 Bad Gateway</h1></body></html>"
    return Answer(502, [HTML], page)


def text_503() -> Answer:
    """Plain text with `Retry-After`."""
    return Answer(503, [("Content-Type", "text/plain"), ("Retry-After", "1")], b"The service is unavailable.")


def sub_domain_not_found() -> Answer:
    """What a wrong tenant or host name gets."""
    return told(404, {"statusCode": 404, "message": "Sub-domain not found."})


def oauth_error() -> Answer:
    """An error in the shape of RFC 6749, with a challenge."""
    body = {"error": "invalid_token", "error_description": "The token is expired."}
    return told(401, body, ("WWW-Authenticate", 'Bearer error="invalid_token"'))


def top_level() -> Answer:
    """Code and message without the `error` around them."""
    return told(400, {"code": "InvalidArgument", "message": "The argument is invalid."})


def other_casing() -> Answer:
    """The documented shape in another casing."""
    return told(404, {"Error": {"Code": "DigitalTwinNotFound", "Message": "There is no such twin."}})


def problem_json() -> Answer:
    """RFC 9457 with a code as extension."""
    body = {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "It is bad.",
        "code": "InvalidArgument",
    }
    return Answer(400, [("Content-Type", "application/problem+json")], msgspec.json.encode(body))


def truncated_json() -> Answer:
    """A JSON content type and half of a body."""
    return Answer(500, [JSON], b'{"error":{"code":"InternalError","mess')


def not_json() -> Answer:
    """A JSON content type and a body that is none."""
    return Answer(500, [JSON], b"Internal Server Error")


def gzip_json() -> Answer:
    """A documented error, compressed although nobody asked for it."""
    body = msgspec.json.encode({"error": {"code": "InternalError", "message": "It broke."}})
    return Answer(500, [JSON, ("Content-Encoding", "gzip")], gzip.compress(body, mtime=0))


def claims_challenge() -> Answer:
    """Continuous access evaluation asks for a token with more claims."""
    claims = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}').decode()
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{claims}"'
    body = {"error": {"code": "Unauthorized", "message": "More claims are needed."}}
    return told(401, body, ("WWW-Authenticate", challenge), ("x-ms-error-code", "Unauthorized"))


def expired_token() -> Answer:
    """A 401 with a documented body, as for a token that is no longer taken."""
    body = {"error": {"code": "Unauthorized", "message": "The token is expired."}}
    headers = ("WWW-Authenticate", 'Bearer error="invalid_token"'), ("x-ms-error-code", "Unauthorized")
    return told(401, body, *headers)


def told(status: int, body: object, *headers: tuple[str, str]) -> Answer:
    """An answer with this JSON body."""
    return Answer(status, [JSON, *headers], msgspec.json.encode(body))


NAMED: Final[tuple[tuple[str, Callable[[], Answer]], ...]] = tuple(
    (make.__name__.replace("_", "-"), make)
    for make in (
        conforming,
        no_header,
        mismatch,
        header_only,
        empty_403,
        html_502,
        text_503,
        sub_domain_not_found,
        oauth_error,
        top_level,
        other_casing,
        problem_json,
        truncated_json,
        not_json,
        gzip_json,
        claims_challenge,
        expired_token,
    )
)
"""The names a fault's `kind` may have."""
