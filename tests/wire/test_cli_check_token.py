"""`adt-gateway check --online` and the token: where it comes from, whom it is for, modes without one."""

from pathlib import Path

import pytest

from tests.support import faults
from tests.support.authority import running_authority
from tests.support.azure import running_azure
from tests.support.checking import check, jwt, static
from tests.support.issuer import Issuer
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import until

EVENT_ROUTES = b'{"value": [], "nextLink": null}'


async def looked_at(upstream: FaultUpstream) -> None:
    """Wait until the upstream has noticed the connection that was only tried, and closed it."""

    async def accepted() -> bool:
        return upstream.connections > 0

    await until(accepted)
    await upstream.idle()


@pytest.mark.parametrize("secret", ["wrong", "canary-secret-canary"])
async def test_the_issuer_refuses(secret: str) -> None:
    """A wrong secret: what to check; the upstream is looked at all the same, but no request is sent to it."""
    async with Issuer() as issuer, fault_upstream() as upstream:
        oauth2 = {"token_url": issuer.url, "client_id": "me", "client_secret": secret}
        checked = await check(upstream.origin, auth={"mode": "oauth2", "oauth2": oauth2})
        await looked_at(upstream)
        assert upstream.requests == []
    assert (checked.code, checked.failed) == (1, ["token"])
    assert checked.steps["token"].message.endswith("does not accept the client's credentials.")
    assert "secret" in checked.steps["token"].advice
    assert checked.steps["connection"].outcome == "ok"
    assert checked.steps["request"].message == "there is no token to send"
    assert "canary" not in checked.text


async def test_the_issuer_cannot_be_reached() -> None:
    """An issuer that is down: exit 1, and where to look."""
    async with fault_upstream() as upstream:
        oauth2 = {"token_url": "http://127.0.0.1:1/token", "client_id": "me", "client_secret": "x"}
        checked = await check(upstream.origin, auth={"mode": "oauth2", "oauth2": oauth2})
        await looked_at(upstream)
    assert (checked.code, checked.failed) == (1, ["token"])
    assert checked.steps["token"].message.endswith("cannot be reached (Connection refused).")
    assert "auth.oauth2.token_url" in checked.steps["token"].advice


async def test_entra_behind_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    """Something else answers for Entra: the certificate is named as the cause, and where its CA belongs."""
    who = {"tenant_id": "t", "client_id": "me", "client_secret": "canary-secret-canary"}
    async with running_authority(tmp_path) as issuer, fault_upstream() as upstream:
        environ = {"AZURE_AUTHORITY_HOST": issuer.origin}
        checked = await check(upstream.origin, environ, auth={"mode": "entra", "entra": who})
        await looked_at(upstream)
    token = checked.steps["token"]
    assert checked.failed == ["token"]
    assert "the authority cannot be reached (its certificate is not accepted: " in token.message
    assert "SSL_CERT_FILE" in token.advice
    assert "oauth2" not in token.advice
    assert "canary" not in checked.text


async def test_a_token_for_somebody_else() -> None:
    """An audience that is not ADT's: the 401 is explained by it, with what the challenge says."""
    async with running_azure() as azure:
        token = jwt(aud="https://graph.microsoft.com", tid="t")
        checked = await check(azure.cloud.url, auth=static(token))
    request = checked.steps["request"]
    assert (checked.code, checked.failed) == (1, ["request"])
    assert "answered 401 Unauthorized" in request.message
    assert any(line.startswith("WWW-Authenticate: invalid_token: ") for line in request.details)
    assert "The token is for https://graph.microsoft.com" in request.advice
    assert "auth.scope" in request.advice
    assert token not in checked.text


async def test_modes_without_a_token() -> None:
    """Modes none and passthrough say what is not checked; a 401 is right for the one and wrong
    for the other.
    """
    async with running_azure() as azure:
        passed = await check(azure.cloud.url, auth={"mode": "passthrough"})
        none = await check(azure.cloud.url, auth={"mode": "none"})
    assert passed.code == 0
    assert "neither it nor its role is checked" in passed.steps["token"].message
    assert "wants a token, which the app sends" in passed.steps["request"].message
    assert (none.code, none.failed) == (1, ["request"])
    assert "none is checked" in none.steps["token"].message
    async with fault_upstream(faults.reply(200, EVENT_ROUTES)) as upstream:
        open_ = await check(upstream.origin, auth={"mode": "none"})
        assert upstream.last.values(b"authorization") == []
    assert open_.code == 0
