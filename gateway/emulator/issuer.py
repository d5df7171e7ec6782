"""A token issuer like Entra ID's v2.0 endpoint: client credentials in, RS256 JWT out; keys and metadata
published.
"""

import base64
import binascii
import hmac
import math
import uuid
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from gateway.emulator.clock import Clock
from gateway.emulator.exchange import Answer, Call, json_answer
from gateway.emulator.routing import Guard, Route
from gateway.emulator.settings import AUDIENCE, RESOURCE_ID

NO_STORE: Final = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


class TokenRefused(Exception):
    """The token is not good; the text says why and is safe inside a quoted header value."""


class ForeignTenant(TokenRefused):
    """A good token of another tenant: the service pretends that the instance does not exist."""


class OAuthError(Exception):
    """An error of the token endpoint (RFC 6749, section 5.2)."""

    def __init__(self, code: str, description: str, *, status: int = 400, challenge: bool = False) -> None:
        super().__init__(description)
        self.code = code
        self.status = status
        self.challenge = challenge

    def answer(self) -> Answer:
        """The error as it goes over the wire."""
        headers = [*NO_STORE, ("WWW-Authenticate", 'Basic realm="token"')] if self.challenge else NO_STORE
        return json_answer(self.status, {"error": self.code, "error_description": str(self)}, headers)


class Issuer:
    """Signs tokens and checks them; the key is made on first use."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._round = 0

    @cached_property
    def key(self) -> RSAKey:
        """The signing key, with its thumbprint as `kid`."""
        return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    def issue(self, url: str, *, tenant: str, audience: str, client_id: str, expires_in: int) -> str:
        """A signed token; `url` becomes its issuer, `expires_in` is in seconds."""
        now = self._clock().timestamp()
        claims = {
            "aud": audience,
            "iss": url,
            "tid": tenant,
            "appid": client_id,
            "sub": client_id,
            "iat": int(now),
            "nbf": int(now),
            # Rounded up: a token must not live shorter than `expires_in` says.
            "exp": math.ceil(now) + expires_in,
            "jti": uuid.uuid4().hex,
            "round": self._round,
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def verify(self, token: str, tenant: str) -> None:
        """Raises TokenRefused when the signature, times or audience are wrong, ForeignTenant for another
        tenant.
        """
        try:
            claims = jwt.decode(token, self.key, algorithms=["RS256"]).claims
        except (JoseError, ValueError) as error:
            raise TokenRefused("not a token of this issuer") from error
        if claims["aud"] not in (AUDIENCE, RESOURCE_ID):
            raise TokenRefused("wrong audience")
        if self._clock().timestamp() >= claims["exp"]:
            raise TokenRefused("expired")
        if claims["round"] != self._round:
            raise TokenRefused("revoked")
        if claims["tid"] != tenant:
            raise ForeignTenant("another tenant")

    def revoke(self) -> None:
        """Refuse every token issued so far."""
        self._round += 1


def token(call: Call) -> Answer:
    """`POST /{tenant}/oauth2/v2.0/token` (RFC 6749, section 4.4; client_secret_post and
    client_secret_basic).
    """
    try:
        return grant(call, form(call))
    except OAuthError as error:
        return error.answer()


def grant(call: Call, fields: dict[str, str]) -> Answer:
    """The token for a well-formed request. Raises OAuthError."""
    settings = call.state.settings
    if "grant_type" not in fields:
        raise OAuthError("invalid_request", "The parameter grant_type is missing.")
    if fields["grant_type"] != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Only client_credentials is supported.")
    client_id, secret, basic = client(call, fields)
    known = hmac.compare_digest(client_id.encode(), settings.client_id.encode())
    if not (hmac.compare_digest(secret.encode(), settings.client_secret.encode()) and known):
        raise OAuthError("invalid_client", "The client or its secret is wrong.", status=401, challenge=basic)
    life = settings.expires_in
    tenant = call.parameters["tenant"]
    signed = call.state.issuer.issue(
        f"{call.base_url}/{tenant}/v2.0",
        tenant=tenant,
        audience=audience(fields),
        client_id=client_id,
        expires_in=life,
    )
    body = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": signed}
    return json_answer(200, body, NO_STORE)


def form(call: Call) -> dict[str, str]:
    """The form fields. Raises OAuthError when the body is no form or names a field twice."""
    if (call.header("Content-Type") or "").partition(";")[
        0
    ].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body must be application/x-www-form-urlencoded.")
    pairs = parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "A parameter is included more than once.")
    return fields


def client(call: Call, fields: dict[str, str]) -> tuple[str, str, bool]:
    """Id and secret of the client, and whether they came by Basic authentication. Raises OAuthError."""
    header = call.header("Authorization")
    if header is None:
        if "client_id" not in fields or "client_secret" not in fields:
            raise OAuthError("invalid_client", "client_id and client_secret are required.", status=401)
        return fields["client_id"], fields["client_secret"], False
    if "client_secret" in fields:
        raise OAuthError("invalid_request", "The client authenticates in more than one way.")
    scheme, _, value = header.partition(" ")
    try:
        client_id, _, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise OAuthError("invalid_client", "Not Basic.", status=401, challenge=True) from error
    if scheme.lower() != "basic":
        raise OAuthError("invalid_client", "Only Basic is supported.", status=401, challenge=True)
    return unquote_plus(client_id), unquote_plus(secret), True


def audience(fields: dict[str, str]) -> str:
    """The `aud` of the token asked for by `scope`, or by `resource` as older clients do. Raises
    OAuthError.
    """
    asked = fields["scope"].removesuffix("/.default") if "scope" in fields else fields.get("resource", "")
    if asked.removesuffix("/") not in (AUDIENCE, RESOURCE_ID):
        raise OAuthError("invalid_scope", f"The scope must be {AUDIENCE}/.default.")
    return asked.removesuffix("/")


def keys(call: Call) -> Answer:
    """`GET /{tenant}/discovery/v2.0/keys`: the public key as a JWK set (RFC 7517)."""
    return json_answer(200, KeySet([call.state.issuer.key]).as_dict(private=False))


def metadata(call: Call) -> Answer:
    """`GET /{tenant}/v2.0/.well-known/openid-configuration` (OpenID Connect Discovery 1.0)."""
    base = f"{call.base_url}/{call.parameters['tenant']}"
    body: dict[str, Any] = {
        "issuer": f"{base}/v2.0",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    return json_answer(200, body)


ROUTES: Final = (
    Route("POST", "/{tenant}/oauth2/v2.0/token", token, Guard.OPEN),
    Route("GET", "/{tenant}/discovery/v2.0/keys", keys, Guard.OPEN),
    Route("GET", "/{tenant}/v2.0/.well-known/openid-configuration", metadata, Guard.OPEN),
)
