"""The token issuer, and the guard that checks its tokens."""

import math
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from gateway.emulator import EmulatorSettings, RunningEmulator, running_emulator
from tests.emulator.support import VERSION, ManualClock, error_of

TENANT = EmulatorSettings().tenant
TOKEN_PATH = f"/{TENANT}/oauth2/v2.0/token"
GOOD = {
    "grant_type": "client_credentials",
    "client_id": "demo-app",
    "client_secret": "demo-secret",
    "scope": "https://digitaltwins.azure.net/.default",
}


@pytest.fixture
async def running(clock: ManualClock) -> AsyncIterator[RunningEmulator]:
    """Like the shared fixture, but with tokens."""
    async with running_emulator(EmulatorSettings(rate_limit=None, expires_in=600), clock=clock) as emulator:
        yield emulator


async def token_of(http: httpx.AsyncClient, tenant: str = TENANT, **changes: str) -> str:
    response = await http.post(f"/{tenant}/oauth2/v2.0/token", data={**GOOD, **changes})
    assert response.status_code == 200
    token: str = response.json()["access_token"]
    return token


async def read_with(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.get("/jobs/imports", headers={"Authorization": f"Bearer {token}"})


async def test_token_lets_a_request_in(http: httpx.AsyncClient) -> None:
    """A fresh token is accepted, with either audience the service goes by."""
    for scope in ("https://digitaltwins.azure.net", "0b07f429-9f4b-4714-9392-cc5e8e80c8b0"):
        token = await token_of(http, scope=f"{scope}/.default")
        assert (await read_with(http, token)).status_code == 200


async def test_token_answer_is_that_of_oauth(http: httpx.AsyncClient) -> None:
    """Type, lifetime and the headers that forbid storing it."""
    response = await http.post(TOKEN_PATH, data=GOOD)
    assert response.json().keys() == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    assert (response.json()["token_type"], response.json()["expires_in"]) == ("Bearer", 600)
    assert response.headers["Cache-Control"] == "no-store"


async def test_token_verifies_against_the_published_keys(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """Discovery leads to a JWK set without private parts whose key checks the token's signature."""
    metadata = (await http.get(f"/{TENANT}/v2.0/.well-known/openid-configuration")).json()
    keys = (await http.get(metadata["jwks_uri"])).json()
    assert keys["keys"][0].keys() >= {"kid", "n", "e", "kty", "alg", "use"}
    assert "d" not in keys["keys"][0]
    token = (await http.post(metadata["token_endpoint"], data=GOOD)).json()["access_token"]
    decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"])
    assert decoded.header["kid"] == keys["keys"][0]["kid"]
    assert decoded.claims["iss"] == metadata["issuer"]
    assert decoded.claims["tid"] == TENANT
    assert decoded.claims["exp"] == math.ceil(clock().timestamp()) + 600


async def test_basic_authentication_of_the_client(http: httpx.AsyncClient) -> None:
    """client_secret_basic works; both ways at once, or another scheme, do not."""
    body = {key: value for key, value in GOOD.items() if not key.startswith("client")}
    assert (await http.post(TOKEN_PATH, data=body, auth=("demo-app", "demo-secret"))).status_code == 200
    wrong = await http.post(TOKEN_PATH, data=body, auth=("demo-app", "wrong"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert wrong.headers["WWW-Authenticate"].startswith("Basic")
    both = await http.post(TOKEN_PATH, data=GOOD, auth=("demo-app", "demo-secret"))
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    for header in ("Digest x", "Basic !", "Basic", "Bearer eDp5"):
        other = await http.post(TOKEN_PATH, data=body, headers={"Authorization": header})
        assert (other.status_code, other.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"scope": "https://graph.microsoft.com/.default"}, 400, "invalid_scope"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"scope": ["a", "b"]}, 400, "invalid_request"),
    ],
)
async def test_bad_token_requests(
    http: httpx.AsyncClient, change: dict[str, Any], status: int, error: str
) -> None:
    """Each mistake gets the error code RFC 6749 has for it."""
    body = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    response = await http.post(TOKEN_PATH, data=body)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.json()["error_description"]


async def test_token_request_must_be_a_form(http: httpx.AsyncClient) -> None:
    """JSON is an invalid_request."""
    response = await http.post(TOKEN_PATH, json=GOOD)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_missing_token_is_challenged_without_error(http: httpx.AsyncClient) -> None:
    """No token, or no bearer token: 401 whose challenge names the authority and no error (RFC 6750)."""
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        response = await http.get("/jobs/imports", headers=headers)
        assert error_of(response) == (401, "Unauthorized")
        challenge = response.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer authorization_uri=")
        assert "error=" not in challenge


async def test_expired_token_is_refused(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """A token works until its expiry and not from then on."""
    token = await token_of(http)
    clock.advance(599)
    assert (await read_with(http, token)).status_code == 200
    clock.advance(2)
    response = await read_with(http, token)
    assert error_of(response) == (401, "Unauthorized")
    assert 'error="invalid_token", error_description="expired"' in response.headers["WWW-Authenticate"]


async def test_token_of_another_issuer_is_refused(http: httpx.AsyncClient) -> None:
    """A wrong signature, no signature and plain nonsense are 401."""
    foreign = jwt.encode({"alg": "RS256"}, {"aud": "x"}, RSAKey.generate_key(2048))
    for token in (foreign, "eyJhbGciOiJub25lIn0.e30.", "nonsense", "a.b.c"):
        assert error_of(await read_with(http, token)) == (401, "Unauthorized")


async def test_token_of_another_tenant_does_not_see_the_instance(http: httpx.AsyncClient) -> None:
    """It gets the service's own odd 404."""
    token = await token_of(http, tenant="another-tenant")
    response = await read_with(http, token)
    assert response.status_code == 404
    assert response.json() == {"statusCode": 404, "message": "Sub-domain not found."}


async def test_revoked_tokens_are_refused_and_new_ones_work(http: httpx.AsyncClient) -> None:
    """Revoking ends all tokens issued before."""
    token = await token_of(http)
    assert (await http.post("/_emulator/revoke-tokens")).status_code == 204
    assert error_of(await read_with(http, token)) == (401, "Unauthorized")
    assert (await read_with(http, await token_of(http))).status_code == 200


async def test_token_is_checked_before_the_version(http: httpx.AsyncClient, bare: httpx.AsyncClient) -> None:
    """Without a token nothing else is told, unknown paths apart."""
    assert error_of(await bare.get("/jobs/imports")) == (401, "Unauthorized")
    token = await token_of(http)
    assert error_of(await read_with(bare, token)) == (400, "MissingApiVersionParameter")
    response = await bare.get(
        "/models", params={"api-version": "1"}, headers={"Authorization": f"Bearer {token}"}
    )
    assert error_of(response) == (400, "UnsupportedApiVersionValue")
    assert VERSION in response.json()["error"]["message"]
