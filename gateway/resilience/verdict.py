"""What an attempt says of the upstream's health; a pure function."""

from http import HTTPStatus
from typing import Final

from gateway import failures
from gateway.exchange import Attempt

UNREACHABLE: Final = failures.UpstreamUnreachable.code
_FAILURES: Final = frozenset(
    {
        UNREACHABLE,
        failures.UpstreamTimeout.code,
        failures.UpstreamConnectionLost.code,
        failures.BadUpstreamResponse.code,
    }
)
_FIRST_SERVER_ERROR: Final = 500
_ASKED_FOR: Final = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})


def is_well(status: int) -> bool:
    """Whether an answer is one of a healthy upstream.

    501 and 505 are brought about by the request, so they are no failures of the server (as HAProxy's
    `observe layer7` has it), nor are 4xx, 429 among them.
    """
    return status < _FIRST_SERVER_ERROR or status in _ASKED_FOR


def verdict(attempt: Attempt) -> bool | None:
    """True for a healthy upstream, False for a failing one.

    None where the attempt says nothing: its client left, the app's own request broke it, the gateway had no
    free connection, or something went wrong in the gateway.
    """
    if attempt.error_type in _FAILURES:
        return False
    if attempt.cancelled or attempt.status is None:
        return None
    return is_well(attempt.status)
