"""Failures of the gateway: exception to response, from the one table in `gateway.failures`."""

import math
from dataclasses import dataclass

from gateway.errors.body import CONTENT_TYPE, clean, error_body
from gateway.exchange import RawHeaders
from gateway.failures import REGISTRY, GatewayError, Internal, MethodNotAllowed, Unauthorized

_LONGEST_WAIT = 3600.0
_ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_CHALLENGE = b'Bearer realm="adt-gateway"'


@dataclass(frozen=True, slots=True)
class Rendered:
    """A whole response; the body is empty for HEAD, whose headers still describe it."""

    status: int
    headers: RawHeaders
    body: bytes


def classify(exc: BaseException) -> GatewayError:
    """The failure an exception stands for; what no room named is a bug.

    A class name or message of a library is no evidence of what was sent, so none is read here: the room that
    has the evidence raises the right GatewayError.
    """
    if isinstance(exc, GatewayError):
        return exc
    failure = Internal("")
    failure.__cause__ = exc
    return failure


def render(failure: GatewayError, *, method: str, sent: bool, trace_id: str) -> Rendered:
    """The response to a failure; `sent` says whether bytes may have reached the upstream."""
    message = f"Internal error, trace id {trace_id}." if isinstance(failure, Internal) else failure.message
    inner = {"innererror": {"code": clean(failure.inner)}} if failure.inner else {}
    body = error_body(failure.code, message, inner)
    headers = [
        (b"content-type", CONTENT_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"x-ms-error-code", failure.code.encode()),
        (b"x-gateway-error-origin", b"gateway"),
        *_particular(failure, sent=sent),
    ]
    return Rendered(failure.status(method, sent=sent), headers, b"" if method == "HEAD" else body)


def _particular(failure: GatewayError, *, sent: bool) -> RawHeaders:
    """Fields that only some failures have."""
    # Retry-After makes Azure SDKs send any method again, so it needs certainty that nothing arrived.
    if REGISTRY[failure.code].retry_after and not sent:
        return [(b"retry-after", b"%d" % _seconds(failure.retry_after))]
    if isinstance(failure, Unauthorized):
        return [(b"www-authenticate", _CHALLENGE)]  # RFC 9110, section 15.5.2; RFC 6750, section 3
    if isinstance(failure, MethodNotAllowed):
        return [(b"allow", _ALLOW)]  # RFC 9110, section 15.5.6
    return []


def _seconds(wait: float | None) -> int:
    """Whole seconds for Retry-After (RFC 9110, section 10.2.3), at least one."""
    return max(1, math.ceil(min(_LONGEST_WAIT, wait or 0.0)))
