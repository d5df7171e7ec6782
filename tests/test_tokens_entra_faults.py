"""The Entra source and what can go wrong: what each fault is called, and that azure-identity stays quiet."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.authority import (
    WHO,
    clear_azure_variables,
    entra_source,
    running_authority,
)
from tests.support.issuer import Issuer
from tests.support.token_sources import failure


@pytest.fixture(autouse=True)
def no_azure_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests decide what is in the process's environment."""
    clear_azure_variables(monkeypatch)


@pytest.fixture
async def authority(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with running_authority(tmp_path) as issuer:
        yield issuer


async def test_bad_certificate(authority: Issuer, tmp_path: Path) -> None:
    """A file that is no certificate is a named failure."""
    (tmp_path / "client.pem").write_text("nonsense")
    source = entra_source(authority, tmp_path, certificate_file=tmp_path / "client.pem", **WHO)
    assert (await failure(source)).reason == "CredentialUnavailable"


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"client_secret": "s", "client_id": "me"}, "AZURE_TENANT_ID"),
        ({"client_secret": "s", "tenant_id": "t"}, "AZURE_CLIENT_ID"),
        ({"credential": "client_secret", **WHO}, "AZURE_CLIENT_SECRET"),
        ({"credential": "certificate", **WHO}, "AZURE_CLIENT_CERTIFICATE_PATH"),
        ({"credential": "workload_identity", **WHO}, "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
async def test_missing_value_is_named(
    authority: Issuer, tmp_path: Path, settings: dict[str, Any], missing: str
) -> None:
    """What is set nowhere is named, key and variable."""
    error = await failure(entra_source(authority, tmp_path, **settings))
    assert error.reason == "CredentialUnavailable"
    assert missing in error.message


async def test_refusals(authority: Issuer, tmp_path: Path) -> None:
    """Entra's code is repeated, its text is not; Retry-After of a throttled answer is read."""
    source = entra_source(authority, tmp_path, client_secret="canary-secret", **WHO)
    refused = await failure(source)
    assert (refused.reason, "AADSTS7000215" in refused.message) == ("InvalidClient", True)
    assert "canary" not in str(refused)
    authority.status, authority.headers = 429, {"retry-after": "9"}
    throttled = await failure(source)
    assert (throttled.reason, throttled.retry_after) == ("IssuerStatus", 9)
    authority.status, authority.body = 200, b'{"token":1}'
    authority.secret = "canary-secret"
    assert (await failure(source)).reason == "IssuerResponse"


async def test_authority_down_or_silent(
    authority: Issuer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A refused connection, an untrusted certificate and silence each have their name."""
    settings: dict[str, Any] = {"client_secret": "right-secret", **WHO}
    nowhere = entra_source(authority, tmp_path, **settings, authority="https://127.0.0.1:1")
    refused = await failure(nowhere)
    assert refused.reason == "IssuerUnreachable"
    assert refused.message.endswith("the authority cannot be reached (Connection refused).")
    elsewhere = tmp_path_factory.mktemp("other")
    trustme.CA().cert_pem.write_to_path(str(elsewhere / "ca.pem"))
    untrusted = await failure(entra_source(authority, elsewhere, **settings))
    assert untrusted.reason == "IssuerUnreachable"
    assert "(its certificate is not accepted: " in untrusted.message
    authority.gate = asyncio.Event()
    silent = entra_source(authority, tmp_path, timeout=0.3, **settings)
    assert (await failure(silent)).reason == "IssuerTimeout"


async def test_azure_says_nothing_itself(
    authority: Issuer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """azure-identity's own logging is off, even at debug: the keeper tells."""
    with caplog.at_level(logging.DEBUG):
        await failure(entra_source(authority, tmp_path, client_secret="canary-secret", **WHO))
    assert not [record for record in caplog.records if record.name.startswith(("azure", "msal"))]
    assert "canary" not in caplog.text
