"""The error codes that can be expected from the upstream, and the code that a status alone gives.

`REFERENCE_CODES` is closed: together with `gateway.failures.REGISTRY` it bounds the metric label
`error_code`.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

SUB_DOMAIN_NOT_FOUND = "SubDomainNotFound"
"""Our name for the service's 404 "Sub-domain not found.", which comes without a code."""

STATUS_NAMES: Mapping[int, str] = MappingProxyType(
    {
        400: "BadRequest",
        401: "Unauthorized",
        402: "PaymentRequired",
        403: "Forbidden",
        404: "NotFound",
        405: "MethodNotAllowed",
        406: "NotAcceptable",
        407: "ProxyAuthenticationRequired",
        408: "RequestTimeout",
        409: "Conflict",
        410: "Gone",
        411: "LengthRequired",
        412: "PreconditionFailed",
        413: "PayloadTooLarge",
        414: "UriTooLong",
        415: "UnsupportedMediaType",
        416: "RangeNotSatisfiable",
        417: "ExpectationFailed",
        421: "MisdirectedRequest",
        422: "UnprocessableContent",
        423: "Locked",
        424: "FailedDependency",
        425: "TooEarly",
        426: "UpgradeRequired",
        428: "PreconditionRequired",
        429: "TooManyRequests",
        431: "RequestHeaderFieldsTooLarge",
        451: "UnavailableForLegalReasons",
        500: "InternalServerError",
        501: "NotImplemented",
        502: "BadGateway",
        503: "ServiceUnavailable",
        504: "GatewayTimeout",
        505: "HttpVersionNotSupported",
        506: "VariantAlsoNegotiates",
        507: "InsufficientStorage",
        508: "LoopDetected",
        511: "NetworkAuthenticationRequired",
    }
)
"""Registered statuses (IANA HTTP status code registry) to codes in the spelling of Azure."""

_CLIENT_ERROR = "ClientError"
_SERVER_ERROR = "ServerError"

# The data plane's REST reference, api-version 2023-10-31, in the order of its sections.
_JOBS = ("JobLimitReached", "ValidationFailed", "ImportJobNotFound", "DeleteJobNotFound", "DTDLParsingError")
_MODELS = (
    "DTDLParserError",
    "InvalidArgument",
    "LimitExceeded",
    "MissingArgument",
    "ModelAlreadyExists",
    "ModelNotFound",
    "ModelReferencesNotDecommissioned",
    "ModelReferencesNotDeleted",
    "ModelVersionNotSupported",
)
_QUERY = ("QuotaReachedError", "SqlQueryError", "TimeoutError")
_TWINS = (
    "ComponentNotFound",
    "DigitalTwinNotFound",
    "InvalidRelationship",
    "JsonPatchInvalid",
    "ModelDecommissioned",
    "OperationNotAllowed",
    "RelationshipAlreadyExists",
    "RelationshipNotFound",
    "RelationshipsNotDeleted",
    "TargetTwinNotFound",
    "TwinLimitReached",
)
_EVENT_ROUTES = (
    "EventRouteEndpointInvalid",
    "EventRouteFilterInvalid",
    "EventRouteIdInvalid",
    "EventRouteNotFound",
)
# RFC 6750, section 3.1, and the claims challenge of Microsoft Entra.
_OAUTH = ("invalid_request", "invalid_token", "insufficient_scope", "insufficient_claims")

REFERENCE_CODES = frozenset(
    (
        *_JOBS,
        *_MODELS,
        *_QUERY,
        *_TWINS,
        *_EVENT_ROUTES,
        *_OAUTH,
        *STATUS_NAMES.values(),
        _CLIENT_ERROR,
        _SERVER_ERROR,
        SUB_DOMAIN_NOT_FOUND,
    )
)
"""Every code the upstream is known to use, and every code made from a status."""

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def status_name(status: int) -> str:
    """The code for a status of 400 or more that says nothing else."""
    unregistered = _CLIENT_ERROR if status < HTTPStatus.INTERNAL_SERVER_ERROR else _SERVER_ERROR
    return STATUS_NAMES.get(status, unregistered)


def is_code(value: object) -> bool:
    """Whether a value may be sent as a code: a short token, safe in a header and in a log line."""
    return isinstance(value, str) and _SAFE.fullmatch(value) is not None
