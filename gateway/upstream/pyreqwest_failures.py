"""What a failure of pyreqwest means: what was sent, and what came back.

The class of an exception is no evidence: only the chain of its causes tells whether a connection stood.
"""

from typing import NoReturn

from pyreqwest.exceptions import DetailedPyreqwestError, PyreqwestError

from gateway import failures
from gateway.upstream.response import LOST

_NOT_SENT = "client error (Connect)"
_NOT_HTTP = (
    "invalid HTTP",
    "invalid content-length",
    "invalid transfer-encoding",
    "message head is too large",
    "message head",
    "invalid header",
    "invalid status",
    "parsed",
)


def fail(error: PyreqwestError, *, kept: bool = False) -> NoReturn:
    """Raise UpstreamUnreachable, BadUpstreamResponse or UpstreamConnectionLost for a request that failed.

    `kept` says that there may have been a kept connection for it. Hyper does not tell whether it took one,
    nor whether a part of the head came.
    """
    causes = _causes(error)
    if _NOT_SENT in causes:
        raise failures.UpstreamUnreachable(
            "The upstream cannot be reached.", inner=_connect_cause(causes), retry_after=1
        ) from error
    last = causes[-1] if causes else ""
    if any(mark in last for mark in _NOT_HTTP):
        raise failures.BadUpstreamResponse("The upstream's answer is not valid HTTP.") from error
    lost = failures.KeptConnectionLost if kept else failures.UpstreamConnectionLost
    raise lost(LOST) from error


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]


def _connect_cause(causes: list[str]) -> str:
    text = " ".join(causes)
    if "dns error" in text:
        return "NameResolution"
    if "timed out" in text or "deadline has elapsed" in text:
        return "ConnectTimeout"
    if "certificate" in text or "corrupt message" in text or "tls" in text.lower():
        return "Tls"
    return "ConnectionRefused" if "refused" in text else "Connect"
