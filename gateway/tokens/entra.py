"""Source: Microsoft Entra ID through azure-identity.

Each fetch builds a credential object and closes it again. A kept one answers from its cache until five
minutes before expiry, also after a 401, and hides the refreshes that failed meanwhile; the state machine does
the caching here, and asks a few times an hour at most. So the files of a secret, a certificate or a workload
identity are read afresh each time, too.

The transport is aiohttp without environment proxies; it follows no redirects.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError

from gateway.config import Entra
from gateway.tokens import unreachable
from gateway.tokens.claims import asked_pause, bearer
from gateway.tokens.credentials import BUILDERS, identity_of, kind_of
from gateway.tokens.secret import Secret
from gateway.tokens.token import FetchedToken, Reason, SourceError

_PIPELINE: Mapping[str, Any] = MappingProxyType({"use_env_settings": False, "retry_total": 0})
"""Options of azure-core: no environment proxy, and no retries of its own beneath the keeper's."""

_ENTRA_CODE = re.compile(r"AADSTS\d{4,8}")
_CLIENT_REFUSED = frozenset({"AADSTS7000215", "AADSTS7000222", "AADSTS700027", "AADSTS700016"})
"""Wrong secret, expired secret, unknown certificate, unknown application."""
_LOCAL = frozenset({"default", "cli"})
"""Credentials that may fail without an answer of any issuer."""


class EntraSource:
    """Asks Entra for a token of one scope.

    `environ` gives AZURE_* values that the settings leave out; `pipeline` adds options of azure-core.
    """

    name = "entra"

    def __init__(
        self,
        settings: Entra,
        *,
        scope: str,
        timeout: float,
        environ: Mapping[str, str],
        pipeline: Mapping[str, Any] = MappingProxyType({}),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._scope = scope
        self._timeout = timeout
        self._environ = environ
        self._pipeline = {**_PIPELINE, **pipeline}
        self._wall = wall
        self._kind = kind_of(settings)
        # azure-identity logs each failed try in the issuer's words; the keeper tells once, in its own.
        for name in ("azure", "msal"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:  # noqa: ARG002 - nothing is cached here
        """A new token; raises `SourceError`."""
        # Raised outside the handlers: azure's exceptions hold the response, and so the request's form.
        try:
            async with asyncio.timeout(self._timeout):
                return self._token(await self._ask(claims))
        except TimeoutError:
            failure = self._failure(Reason.ISSUER_TIMEOUT, f"no answer within {self._timeout:g} s")
        except (ValueError, OSError):
            failure = self._failure(Reason.CREDENTIAL_UNAVAILABLE, "a setting or its file is not valid")
        except AzureError as error:
            failure = self._refusal(error)
        raise failure

    async def aclose(self) -> None:
        """Nothing is held."""

    async def _ask(self, claims: str | None) -> AccessTokenInfo:
        settings, options = self._settings, TokenRequestOptions()
        if claims is not None:
            options["claims"] = claims
        secret = await Secret(settings.client_secret, settings.client_secret_file).read()
        who = identity_of(settings, secret, self._environ, self._timeout)
        async with BUILDERS[self._kind](who, self._pipeline) as credential:
            return await credential.get_token_info(self._scope, options=options)

    def _token(self, info: AccessTokenInfo) -> FetchedToken:
        now = self._wall()
        refresh_in = None if info.refresh_on is None else info.refresh_on - now
        return FetchedToken(bearer(info.token), info.expires_on - now, refresh_in)

    def _refusal(self, error: AzureError) -> SourceError:
        """Only codes are repeated of what azure-identity says: its text quotes the issuer's."""
        if isinstance(error, CredentialUnavailableError):
            return self._failure(Reason.CREDENTIAL_UNAVAILABLE, "it is not available here")
        if isinstance(error, ServiceRequestError | ServiceResponseError):
            why = unreachable.reason(error)
            cause = "the authority cannot be reached" + (f" ({why})" if why else "")
            return self._failure(Reason.ISSUER_UNREACHABLE, cause)
        code = _ENTRA_CODE.search(error.message)
        response = error.response if isinstance(error, HttpResponseError) else None
        status = None if response is None else response.status_code
        # azure-core's type for the response leaves the headers out.
        headers: Mapping[str, str] = getattr(response, "headers", {})
        pause = asked_pause(headers, self._wall())
        if code is not None:
            reason = Reason.INVALID_CLIENT if code.group() in _CLIENT_REFUSED else Reason.REFUSED
            return self._failure(reason, f"refused with {code.group()}", pause)
        if status is None and self._kind in _LOCAL:
            return self._failure(Reason.CREDENTIAL_UNAVAILABLE, "no credential gave a token")
        if status in {None, 200}:
            return self._failure(Reason.ISSUER_RESPONSE, "the answer holds no token")
        return self._failure(Reason.ISSUER_STATUS, f"the authority answered {status}", pause)

    def _failure(self, reason: Reason, cause: str, pause: float | None = None) -> SourceError:
        return SourceError(reason, f"Entra gave no token ({self._kind}): {cause}.", pause)
