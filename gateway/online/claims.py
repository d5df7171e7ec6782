"""Whom a token names: a JWT's claims, read without verification, to explain why it is refused.

Nothing is decided by them. A token that is not a JWT, or an encrypted one, has none to read.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ADT_AUDIENCES: Final = frozenset({"https://digitaltwins.azure.net", "0b07f429-9f4b-4714-9392-cc5e8e80c8b0"})
"""The resource of Azure Digital Twins by its URI and by its application id."""
_LARGEST: Final = 65_536
_LONGEST: Final = 200
_MOST: Final = 5
_LATEST: Final = 1e12


@dataclass(frozen=True, slots=True)
class Claims:
    """What explains a refusal; text of the issuer's, bounded. Empty where it is not there."""

    audience: tuple[str, ...]
    tenant: str
    application: str
    principal: str
    """Object id of whoever the token is for: what a role is assigned to."""
    issuer: str
    expires_on: float | None
    """Seconds since the epoch."""

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each claim that is there."""
        told = {
            "audience": ", ".join(self.audience),
            "tenant": self.tenant,
            "application (client) id": self.application,
            "object id": self.principal,
            "issuer": self.issuer,
        }
        return tuple(f"{name}: {value}" for name, value in told.items() if value)

    @property
    def is_for_adt(self) -> bool:
        """Whether Azure Digital Twins is among the audiences."""
        return any(audience.rstrip("/").lower() in ADT_AUDIENCES for audience in self.audience)


def read_claims(token: str) -> Claims | None:
    """The claims of a JWT (RFC 7519); None for anything else."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LARGEST:  # noqa: PLR2004 - header, payload, signature
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = json.loads(payload.decode())
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(claims, dict):
        return None
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return Claims(
        tuple(text for each in audiences[:_MOST] if (text := _text(each))),
        _text(claims.get("tid")),
        _first(claims, "appid", "azp", "client_id"),
        _text(claims.get("oid")),
        _text(claims.get("iss")),
        _instant(claims.get("exp")),
    )


def _first(claims: Mapping[str, object], *names: str) -> str:
    """Entra's v1 and v2 tokens and RFC 9068 name the client differently."""
    return next((text for name in names if (text := _text(claims.get(name)))), "")


def _instant(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Larger ones may not even be a float.
    return float(value) if 0 <= value < _LATEST else None


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""
