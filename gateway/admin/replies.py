"""What every answer of the admin listener has in common: safe headers and one error shape."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.failures import GatewayError

_SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
_CHALLENGES = ("Bearer", 'Basic realm="adt-gateway", charset="UTF-8"')
"""A line each: two in one are easily misread (RFC 9110, section 11.6.1)."""


def safe(response: Response) -> Response:
    """The response with headers that keep it out of caches and other sites, and from being read otherwise."""
    response.headers.update(_SAFE)
    return response


def error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """An `ErrorResponse` (Azure REST guidelines), marked as the gateway's own."""
    body = {"error": {"code": code, "message": message}}
    marks = {"x-ms-error-code": code, "x-gateway-error-origin": "gateway"}
    return safe(JSONResponse(body, status_code=status, headers={**(headers or {}), **marks}))


def refused(failure: GatewayError) -> Response:
    """The answer to a request that `Access` refuses."""
    status = failure.status("GET", sent=False)
    response = error(status, failure.code, failure.message)
    if status == HTTPStatus.UNAUTHORIZED:
        for challenge in _CHALLENGES:
            response.headers.append("www-authenticate", challenge)
    return response


async def not_found(_request: Request, _exception: Exception) -> Response:
    """A path outside the table; nothing of it is echoed."""
    return error(404, "NotFound", "The admin listener has no such resource.")


async def method_not_allowed(_request: Request, _exception: Exception) -> Response:
    """Everything here is read only."""
    return error(
        405, "GatewayMethodNotAllowed", "Only GET and HEAD are answered here.", {"allow": "GET, HEAD"}
    )


async def internal(_request: Request, _exception: Exception) -> Response:
    """A bug; the traceback goes to the log."""
    return error(500, "GatewayInternal", "The admin listener failed; its log says why.")
