"""Errors as an upstream sends them, and a look at what becomes of them."""

import json
from typing import Any

from gateway.errors import REASONS, Normalised, normalise

JSON_TYPE = (b"content-type", b"application/json; charset=utf-8")
GOOD = b'{"error": {"code":"ValidationFailed","message":"Bad \\u0069nput."}}'
"""A body that conforms, in bytes that no encoder would choose."""


def normalised(
    body: bytes | None,
    *headers: tuple[bytes, bytes],
    status: int = 400,
    method: str = "GET",
    owns_token: bool = True,
) -> Normalised:
    result = normalise(method=method, status=status, headers=list(headers), body=body, owns_token=owns_token)
    assert result.reason is None or result.reason in REASONS
    assert values(result, b"x-gateway-error-origin") == [b"upstream"]
    told = [result.reason.encode()] if result.rewritten and result.reason else []
    assert values(result, b"x-gateway-error-normalised") == told
    return result


def values(result: Normalised, name: bytes) -> list[bytes]:
    return [value for key, value in result.headers if key == name]


def error(result: Normalised) -> dict[str, Any]:
    """The error of a rewritten body, after a look at the headers that describe it."""
    assert result.body is not None
    found = json.loads(result.body)["error"]
    assert values(result, b"x-ms-error-code") == [found["code"].encode()] == [result.code.encode()]
    assert values(result, b"content-type") == [b"application/json; charset=utf-8"]
    assert values(result, b"content-length") == [b"%d" % len(result.body)]
    assert values(result, b"content-encoding") == []
    assert isinstance(found, dict)
    return found
