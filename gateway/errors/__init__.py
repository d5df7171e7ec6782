"""Every failure has one name, one status, one body: classify, render, normalise.

    codes.py      the error codes that can be expected, and the code a status alone gives
    body.py       how an ErrorResponse is written: safe text, bounded, no secret
    render.py     failures of the gateway: exception to response
    shapes.py     JSON documents: which of the known shapes an upstream's error has
    reading.py    bytes to shape: content coding, media type, JSON, text
    normalise.py  errors of the upstream: whatever came to one ErrorResponse

The names, statuses and Retry-After rules of the gateway's own failures are in `gateway.failures`.
"""

from gateway.errors.codes import REFERENCE_CODES, status_name
from gateway.errors.normalise import (
    ERROR_BODY_CAP,
    REASONS,
    Normalised,
    normalise,
    reads_error,
)
from gateway.errors.render import Rendered, classify, render

__all__ = [
    "ERROR_BODY_CAP",
    "REASONS",
    "REFERENCE_CODES",
    "Normalised",
    "Rendered",
    "classify",
    "normalise",
    "reads_error",
    "render",
    "status_name",
]
