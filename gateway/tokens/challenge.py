"""What a 401 asks of the next token: the claims of a challenge (OpenID Connect CAE); a pure function."""

import base64
import re

from gateway.exchange import RawHeaders

_CLAIMS = re.compile(rb'claims="([^"]{1,8192})"')
_URLSAFE = bytes.maketrans(b"-_", b"+/")


def claims_asked_for(headers: RawHeaders) -> str | None:
    """The claims that a challenge asks for, as JSON text (they travel in base64); None where it has none."""
    for name, value in headers:
        match = _CLAIMS.search(value) if name == b"www-authenticate" else None
        if match is None or b"insufficient_claims" not in value:
            continue
        encoded = match[1].rstrip(b"=").translate(_URLSAFE)
        try:
            return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True).decode() or None
        except ValueError:
            return None
    return None
