"""Every way in which the gateway itself fails: one name, one status, one rule for Retry-After.

    GatewayError
    ├── UpstreamUnreachable      503  nothing was sent
    ├── UpstreamTimeout          504, 502 for POST and PATCH
    ├── UpstreamConnectionLost   502
    ├── BadUpstreamResponse      502
    ├── TokenUnavailable         503  nothing was sent
    ├── CircuitOpen              503  nothing was sent
    ├── Overloaded               503  nothing was sent
    ├── Draining                 503  nothing was sent
    ├── RateLimited              429  nothing was sent
    ├── RequestInvalid           400
    ├── RequestTooLarge          413, 431 for headers
    ├── RequestTimeout           408
    ├── Unauthorized             401
    ├── Misdirected              421
    ├── Forbidden                403
    ├── MethodNotAllowed         405
    └── Internal                 500, 502 for POST and PATCH once sent

`REGISTRY` feeds the response body, the `x-ms-error-code` header, the metric label set and the README.

Why a write gets 502: Azure SDKs send a POST again after 500, 503 and 504, and after anything with
`Retry-After`, but not after 502. A write whose outcome is unknown must not be sent twice, so 503, 504 and
`Retry-After` are kept for requests of which nothing left the gateway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

NOT_REPEATABLE = frozenset({"POST", "PATCH"})
"""Methods an SDK sends again after 500, 503 and 504, although they must not run twice."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table: how a failure of the gateway is answered."""

    name: str
    """`error.code`, `x-ms-error-code` and the metric label."""
    status: int
    when: str
    """One line for the README."""
    write_status: int | None = None
    """The status for POST and PATCH where it differs, once something was sent."""
    retry_after: bool = False
    """Whether `Retry-After` is sent; only ever where nothing was sent upstream."""


_CODES = (
    ErrorCode(
        "GatewayUpstreamUnreachable",
        503,
        "Name resolution, connect or TLS handshake failed; nothing was sent.",
        retry_after=True,
    ),
    ErrorCode("GatewayUpstreamTimeout", 504, "Sent, but no answer in time.", write_status=502),
    ErrorCode(
        "GatewayUpstreamConnectionLost",
        502,
        "Sent, but the connection broke before the response was relayed.",
    ),
    ErrorCode("GatewayBadUpstreamResponse", 502, "The upstream's answer is not HTTP or breaks a limit."),
    ErrorCode(
        "GatewayTokenUnavailable", 503, "No valid token can be had; nothing was sent.", retry_after=True
    ),
    ErrorCode(
        "GatewayCircuitOpen", 503, "The upstream failed lately and is left alone for now.", retry_after=True
    ),
    ErrorCode("GatewayOverloaded", 503, "Too many requests, or connections, at once.", retry_after=True),
    ErrorCode("GatewayDraining", 503, "The gateway is shutting down.", retry_after=True),
    ErrorCode(
        "GatewayRateLimited",
        429,
        "The wait for a turn at the Jobs API is longer than the caller can wait; nothing was sent.",
        retry_after=True,
    ),
    ErrorCode(
        "GatewayRequestInvalid", 400, "A request line, header or framing the gateway will not forward."
    ),
    ErrorCode("GatewayRequestTooLarge", 413, "The body is over a limit; 431 where the headers are."),
    ErrorCode("GatewayRequestTimeout", 408, "The app was too slow to send its request."),
    ErrorCode("GatewayUnauthorized", 401, "Inbound authentication is on and failed."),
    ErrorCode("GatewayMisdirected", 421, "The Host is not this gateway."),
    ErrorCode("GatewayForbidden", 403, "Refused: `routes.deny`, foreign web page, user or name not listed."),
    ErrorCode("GatewayMethodNotAllowed", 405, "TRACE and CONNECT are not forwarded."),
    ErrorCode(
        "GatewayInternal",
        500,
        "A bug in the gateway; the message carries the trace id only.",
        write_status=502,
    ),
)

REGISTRY: Mapping[str, ErrorCode] = MappingProxyType({code.name: code for code in _CODES})


class GatewayError(Exception):
    """A failure the gateway answers by itself.

    `message` reaches the app and must hold no secret. `inner` is the finer cause (`innererror.code`).
    `retry_after` is in seconds and is only sent where the table allows it.
    """

    code: ClassVar[str] = "GatewayInternal"

    def __init__(self, message: str, *, inner: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.inner = inner
        self.retry_after = retry_after

    def status(self, method: str, *, sent: bool) -> int:
        """The status to answer `method` with; `sent` says whether bytes may have reached the upstream."""
        row = REGISTRY[self.code]
        if sent and row.write_status is not None and method in NOT_REPEATABLE:
            return row.write_status
        return row.status


class UpstreamUnreachable(GatewayError):
    """No connection could be made, so nothing was sent."""

    code = "GatewayUpstreamUnreachable"


class UpstreamTimeout(GatewayError):
    """The request may have reached the upstream; no answer came in time."""

    code = "GatewayUpstreamTimeout"


class UpstreamConnectionLost(GatewayError):
    """The request may have reached the upstream; the connection broke."""

    code = "GatewayUpstreamConnectionLost"


class KeptConnectionLost(UpstreamConnectionLost):
    """The same where the connection may have been used before, and so be dead since before the request."""


class BadUpstreamResponse(GatewayError):
    """What came back is not a response that can be relayed."""

    code = "GatewayBadUpstreamResponse"


class TokenUnavailable(GatewayError):
    """There is no valid token, and none can be had now; nothing was sent."""

    code = "GatewayTokenUnavailable"


class CircuitOpen(GatewayError):
    """The upstream failed, and its next try is not due yet; nothing was sent."""

    code = "GatewayCircuitOpen"


class Overloaded(GatewayError):
    """No upstream connection became free in time, or too many of apps are open; nothing was sent."""

    code = "GatewayOverloaded"


class Draining(GatewayError):
    """The gateway is shutting down; nothing was sent."""

    code = "GatewayDraining"


class RateLimited(GatewayError):
    """No turn at the Jobs API within the time the caller can wait; nothing was sent."""

    code = "GatewayRateLimited"


class RequestInvalid(GatewayError):
    """The request is ambiguous or malformed and is not forwarded."""

    code = "GatewayRequestInvalid"


class RequestTooLarge(GatewayError):
    """The request's body is over the configured limit."""

    code = "GatewayRequestTooLarge"


class HeadersTooLarge(RequestTooLarge):
    """The request's head is over the configured limit (RFC 6585, section 5)."""

    def status(self, method: str, *, sent: bool) -> int:  # noqa: ARG002 - the signature is the base class's
        """431, whatever the method."""
        return 431


class RequestTimeout(GatewayError):
    """The app did not send its request in time."""

    code = "GatewayRequestTimeout"


class Unauthorized(GatewayError):
    """Inbound authentication failed."""

    code = "GatewayUnauthorized"


class Misdirected(GatewayError):
    """The Host header names something that is not this gateway (RFC 9110, section 15.5.20)."""

    code = "GatewayMisdirected"


class Forbidden(GatewayError):
    """Configuration or the browser rules refuse the request, or who sent it is not listed."""

    code = "GatewayForbidden"


class MethodNotAllowed(GatewayError):
    """A method that a gateway must not forward."""

    code = "GatewayMethodNotAllowed"


class Internal(GatewayError):
    """A bug: anything that no other class names."""

    code = "GatewayInternal"


class ClientLeft(Exception):
    """The app closed its connection before the exchange was over."""


class ResponseCut(Exception):
    """The response broke after its head was relayed: the connection must be cut, never ended politely."""


OF_THE_APP = frozenset({RequestInvalid.code, RequestTooLarge.code, RequestTimeout.code})
"""Ways in which an attempt ends that say nothing of the upstream: the app's own request broke it."""
