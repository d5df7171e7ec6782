"""The configured source."""

from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from gateway.config import Auth
from gateway.tokens.file import FileSource
from gateway.tokens.oauth2 import OAuth2Source
from gateway.tokens.static import StaticSource
from gateway.tokens.token import TokenSource


def open_source(
    auth: Auth, environ: Mapping[str, str], *, instrument: Callable[[httpx.AsyncClient], object] | None = None
) -> TokenSource | None:
    """The source of `auth.mode`; None where the gateway owns no token (passthrough, none).

    `instrument` is called with the HTTP client of the OAuth2 source, to have its calls traced. Raises OSError
    or ssl.SSLError for an unreadable CA file.
    """
    match auth.mode:
        case "oauth2":
            source = OAuth2Source(auth.oauth2, scope=auth.scope, timeout=auth.timeout)
            if instrument is not None:
                instrument(source.client)
            return source
        case "entra":
            # Imported when needed: azure-identity costs about a second and 30 MB.
            from gateway.tokens.entra import EntraSource  # noqa: PLC0415

            return EntraSource(auth.entra, scope=auth.scope, timeout=auth.timeout, environ=environ)
        case "file":
            return FileSource(auth.file.path or Path(), timeout=auth.timeout)
        case "static":
            return StaticSource("" if auth.static.token is None else auth.static.token.get_secret_value())
        case "passthrough" | "none":
            return None
