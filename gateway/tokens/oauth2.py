"""Source: client credentials (RFC 6749, section 4.4) with any issuer.

Plain httpx, without authlib's client on top, for what that one does (1.9): it needs httpx2 and warns on
httpx, reads a body of any size, does not look at token_type, does not form-encode what goes into HTTP Basic
(section 2.3.1), and fails outside Latin-1 with an exception that quotes the secret.

No environment proxy, no redirect, no cookie, no kept connection: refreshes are minutes apart.
"""

import asyncio
import base64
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import quote_plus

import httpx

from gateway.config import OAuth2
from gateway.tokens import unreachable
from gateway.tokens.claims import asked_pause, bearer, json_object, seconds
from gateway.tokens.secret import Secret
from gateway.tokens.token import FetchedToken, Reason, SourceError

LARGEST_ANSWER = 65_536
"""Bytes; tokens are a few kilobytes."""

_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    }
)
"""The OAuth error codes that are repeated in messages; any other text of an issuer's is not."""


def trust(settings: OAuth2) -> ssl.SSLContext:
    """Whom the token endpoint is checked by: the public CAs, and that of `ca_file`."""
    # To read the CAs takes 30 ms, which a loopback issuer without TLS has no use for.
    encrypted = httpx.URL(settings.token_url or "").scheme == "https"
    tls = httpx.create_ssl_context(trust_env=False) if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ca_file is not None:
        tls.load_verify_locations(settings.ca_file)
    return tls


def open_client(settings: OAuth2, timeout: float) -> httpx.AsyncClient:
    """The client that calls the token endpoint; `timeout` (seconds) is for each of its phases."""
    return httpx.AsyncClient(
        verify=trust(settings),
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "adt-gateway"},
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """A token endpoint's response, read within the bound."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, object] | None
    """None if it is not a JSON object, or too large."""
    too_large: bool = False


class OAuth2Source:
    """Asks the token endpoint; `client` is open to be instrumented, and is closed with the source."""

    name = "oauth2"

    def __init__(
        self,
        settings: OAuth2,
        *,
        scope: str,
        timeout: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.client = open_client(settings, timeout)
        self._settings = settings
        self._url = httpx.URL(settings.token_url or "")
        self._scope = scope
        self._timeout = timeout
        self._wall = wall
        # At debug these write down every response header, and an issuer may echo what it was sent.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._secret = Secret(settings.client_secret, settings.client_secret_file)

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:  # noqa: ARG002 - nothing is cached here
        """A new token; raises `SourceError`. A refused secret is read again and tried once more at once."""
        answer = await self._ask(await self._secret.read(), claims)
        if _error(answer) == "invalid_client" and await self._secret.reread():
            answer = await self._ask(await self._secret.read(), claims)
        return self._token(answer)

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.aclose()

    async def _ask(self, secret: str, claims: str | None) -> _Answer:
        # Raised outside the handlers: httpx's exceptions hold the request, and so the secret.
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(secret, claims)
        except (TimeoutError, httpx.TimeoutException):
            reason, cause = Reason.ISSUER_TIMEOUT, f"gave no whole answer within {self._timeout:g} s"
        except httpx.ConnectError as error:
            reason, cause = (
                Reason.ISSUER_UNREACHABLE,
                f"cannot be reached ({unreachable.reason(error) or error})",
            )
        except httpx.RemoteProtocolError:
            reason, cause = Reason.ISSUER_RESPONSE, "did not answer in HTTP"
        except httpx.TransportError as error:
            reason, cause = Reason.ISSUER_UNREACHABLE, f"broke the connection ({type(error).__name__})"
        raise self._failure(reason, cause)

    async def _post(self, secret: str, claims: str | None) -> _Answer:
        form, headers = self._request(secret, claims)
        async with self.client.stream("POST", self._url, data=form, headers=headers) as response:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    return _Answer(response.status_code, response.headers, None, too_large=True)
            return _Answer(response.status_code, response.headers, json_object(bytes(body)))

    def _request(self, secret: str, claims: str | None) -> tuple[dict[str, str], dict[str, str]]:
        client_id = self._settings.client_id or ""
        form = {**self._settings.extra, "scope": self._scope, "grant_type": "client_credentials"}
        if claims is not None:
            form["claims"] = claims
        if self._settings.authentication == "basic":
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            return form, {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {**form, "client_id": client_id, "client_secret": secret}, {}

    def _token(self, answer: _Answer) -> FetchedToken:
        if answer.status != httpx.codes.OK:
            raise self._refusal(answer)
        if answer.too_large:
            cause = f"answered with more than {LARGEST_ANSWER} bytes, too large for a token"
            raise self._failure(Reason.ISSUER_RESPONSE, cause)
        if answer.body is None or "access_token" not in answer.body:
            raise self._failure(Reason.ISSUER_RESPONSE, "answered without a token")
        if str(answer.body.get("token_type", "Bearer")).lower() != "bearer":
            raise self._failure(Reason.ISSUER_RESPONSE, "answered with a token that is not a bearer token")
        return FetchedToken(
            bearer(answer.body["access_token"]),
            seconds(answer.body.get("expires_in")),
            seconds(answer.body.get("refresh_in")),
        )

    def _refusal(self, answer: _Answer) -> SourceError:
        error = _error(answer)
        pause = asked_pause(answer.headers, self._wall())
        if error == "invalid_client":
            return self._failure(Reason.INVALID_CLIENT, "does not accept the client's credentials", pause)
        if error is not None:
            return self._failure(Reason.REFUSED, f"refused with {error}", pause)
        return self._failure(Reason.ISSUER_STATUS, f"answered {answer.status}", pause)

    def _failure(self, reason: Reason, cause: str, pause: float | None = None) -> SourceError:
        port = "" if self._url.port is None else f":{self._url.port}"
        return SourceError(reason, f"The token endpoint {self._url.host}{port} {cause}.", pause)


def _error(answer: _Answer) -> str | None:
    """The OAuth error code (RFC 6749, section 5.2), if it is one; a bare 401 says invalid_client too."""
    client_error = 400 <= answer.status < 500  # noqa: PLR2004 - RFC 9110, section 15.5
    code = None if answer.body is None or not client_error else answer.body.get("error")
    if isinstance(code, str) and code in _ERRORS:
        return code
    return "invalid_client" if answer.status == httpx.codes.UNAUTHORIZED else None
