"""What issuers say about time: expires_in, expires_on, a JWT's exp, Retry-After; pure functions.

Nothing here verifies a token: the upstream does. What is read only decides when to ask for the next one.
"""

import base64
import json
import math
import re
from collections.abc import Mapping

from gateway import retry_after
from gateway.tokens.token import Reason, SourceError

_BEARER = re.compile(r"[\x21-\x7e]+")


def bearer(value: object) -> str:
    """`value` if a header can carry it as a bearer token; raises `SourceError`.

    Wider than RFC 6750's b64token, because issuers are, but never a space, a control character or anything
    outside ASCII: those could end the header line.
    """
    if not isinstance(value, str) or not _BEARER.fullmatch(value):
        raise SourceError(Reason.TOKEN_MALFORMED, "The token has characters that a header must not carry.")
    return value


def seconds(value: object) -> float | None:
    """A JSON number, or one written as text (Entra's v1 endpoints do that); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def json_object(text: bytes) -> dict[str, object] | None:
    """The JSON object in `text`, or None."""
    try:
        value = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def jwt_expiry(token: str) -> float | None:
    """`exp` of a JWT (RFC 7519, section 4.1.4), seconds since the epoch; None if there is none to read."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    try:
        # Without the padding that base64 wants; more of it than is needed does no harm.
        claims = json_object(base64.urlsafe_b64decode(f"{parts[1]}=="))
    except ValueError:
        return None
    return None if claims is None else seconds(claims.get("exp"))


def asked_pause(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds for which an issuer asks to be left alone, as `retry_after.seconds` reads them.

    `now` is the wall clock.
    """
    # aiohttp gives bytes that are not UTF-8 as lone surrogates, which cannot be encoded.
    lines = [
        (name.lower().encode(errors="replace"), value.encode(errors="replace"))
        for name, value in headers.items()
    ]
    return retry_after.seconds(lines, now)
