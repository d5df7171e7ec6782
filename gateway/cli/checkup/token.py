"""A token from the configured source, as the gateway would get it, and whom it names; never the token."""

import ssl
import time
from collections.abc import Mapping
from typing import Final

from gateway import online
from gateway.config import Auth, Settings
from gateway.online import Claims, Finding
from gateway.tokens import SourceError, Time, Token, open_source
from gateway.tokens.pace import token_of
from gateway.tokens.token import ask

_NO_TOKEN: Final = {
    "passthrough": "auth.mode = passthrough: the app's own token is forwarded; neither it nor its role"
    " is checked",
    "none": "auth.mode = none: no token is sent, so none is checked",
}


async def fetch_token(
    settings: Settings, environ: Mapping[str, str]
) -> tuple[Finding, Token | None, Claims | None]:
    """The finding, and where there is one, the token and its claims."""
    auth = settings.auth
    try:
        source = open_source(auth, environ)
    except (OSError, ssl.SSLError):
        advice = "Check path, owner and mode of the file."
        return online.failed("auth.oauth2.ca_file cannot be read", advice=advice), None, None
    if source is None:
        return online.skipped(_NO_TOKEN[auth.mode]), None, None
    started = time.monotonic()
    try:
        token = token_of(await ask(source, claims=None, renew=False), source.name, started, Time())
    except SourceError as error:
        advice = online.token_advice(error.reason, error.message, _way(auth))
        return online.failed(error.message, advice=advice), None, None
    finally:
        await source.aclose()
    claims = online.read_claims(token.value)
    return _told(token, claims, settings.upstream.base_url), token, claims


def _way(auth: Auth) -> str:
    """How the token is got: the mode, or for Entra the credential."""
    if auth.mode != "entra":
        return auth.mode
    from gateway.tokens.credentials import kind_of  # noqa: PLC0415 - azure-identity is slow to import

    return kind_of(auth.entra)


def _told(token: Token, claims: Claims | None, base_url: str) -> Finding:
    """Source, end and claims, and whether the token is for somebody else."""
    end = "without an end"
    if token.expires_on is not None:
        day = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(token.expires_on))
        end = f"valid for {max(0.0, token.expires_on - time.time()) / 60:.0f} min, until {day}"
    message = f"source {token.source}: a token {end}"
    if claims is None:
        return online.ok(message, "it is no JWT, so whom it is for cannot be told")
    if ".digitaltwins.azure.net" in base_url and not claims.is_for_adt:
        return online.warned(
            f"{message}; its audience is not Azure Digital Twins",
            *claims.lines,
            advice="Set auth.scope to https://digitaltwins.azure.net/.default.",
        )
    return online.ok(message, *claims.lines)
