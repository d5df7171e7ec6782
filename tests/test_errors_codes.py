"""The codes that can be expected, and the code a status alone gives."""

import pytest

from gateway.errors import REFERENCE_CODES, status_name
from gateway.failures import REGISTRY

# RFC 9110, 6585, 7725, 8470, 2518 and the names the REST reference uses.
STATUS_NAMES = {
    400: "BadRequest", 401: "Unauthorized", 402: "PaymentRequired", 403: "Forbidden", 404: "NotFound",
    405: "MethodNotAllowed", 406: "NotAcceptable", 407: "ProxyAuthenticationRequired", 408: "RequestTimeout",
    409: "Conflict", 410: "Gone", 411: "LengthRequired", 412: "PreconditionFailed", 413: "PayloadTooLarge",
    414: "UriTooLong", 415: "UnsupportedMediaType", 416: "RangeNotSatisfiable", 417: "ExpectationFailed",
    421: "MisdirectedRequest", 422: "UnprocessableContent", 423: "Locked", 424: "FailedDependency",
    425: "TooEarly", 426: "UpgradeRequired", 428: "PreconditionRequired", 429: "TooManyRequests",
    431: "RequestHeaderFieldsTooLarge", 451: "UnavailableForLegalReasons", 500: "InternalServerError",
    501: "NotImplemented", 502: "BadGateway", 503: "ServiceUnavailable", 504: "GatewayTimeout",
    505: "HttpVersionNotSupported", 506: "VariantAlsoNegotiates", 507: "InsufficientStorage",
    508: "LoopDetected", 511: "NetworkAuthenticationRequired",
}  # fmt: skip


@pytest.mark.parametrize("status", [*range(400, 600), 600, 999])
def test_status_names(status: int) -> None:
    """A status alone gives a code in Azure's spelling; unregistered ones give one of two."""
    unregistered = "ClientError" if status < 500 else "ServerError"
    assert status_name(status) == STATUS_NAMES.get(status, unregistered)


def test_every_status_name_is_a_reference_code() -> None:
    """A code made from a status is always a label of its own."""
    assert {status_name(status) for status in range(400, 1000)} <= REFERENCE_CODES


@pytest.mark.parametrize(
    "code",
    [
        "JobLimitReached",
        "ValidationFailed",
        "ImportJobNotFound",
        "DeleteJobNotFound",
        "DTDLParsingError",
        "SubDomainNotFound",
        "DigitalTwinNotFound",
        "ModelNotFound",
        "RelationshipNotFound",
        "EventRouteNotFound",
        "JsonPatchInvalid",
        "PreconditionFailed",
        "invalid_token",
    ],
)
def test_reference_codes(code: str) -> None:
    """The codes of the REST reference are labels of their own."""
    assert code in REFERENCE_CODES


def test_own_codes_and_reference_codes_differ() -> None:
    """A code of the gateway's is never mistaken for one of the service's."""
    assert not REFERENCE_CODES & set(REGISTRY)
