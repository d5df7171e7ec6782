"""The Entra source: azure-identity against a local authority over TLS and a local metadata endpoint."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.authority import (
    WHO,
    clear_azure_variables,
    client_certificate,
    entra_source,
    running_authority,
)
from tests.support.issuer import Issuer
from tests.support.token_sources import SCOPE, failure, fetch


@pytest.fixture(autouse=True)
def no_azure_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests decide what is in the process's environment."""
    clear_azure_variables(monkeypatch)


@pytest.fixture
async def authority(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with running_authority(tmp_path) as issuer:
        yield issuer


async def test_client_secret(authority: Issuer, tmp_path: Path) -> None:
    """A client secret gets a token of the configured scope from the configured authority."""
    source = entra_source(authority, tmp_path, client_secret="right-secret", **WHO)
    got = await fetch(source)
    assert got.value == "issued-1"
    assert got.expires_in is not None
    assert 3_590 < got.expires_in <= 3_600
    assert authority.seen[0].path == "/tenant/oauth2/v2.0/token"
    assert authority.seen[0].form["scope"] == SCOPE


async def test_each_fetch_asks_the_authority(authority: Issuer, tmp_path: Path) -> None:
    """No cache of azure-identity answers: a forced refresh brings another token."""
    source = entra_source(authority, tmp_path, client_secret="right-secret", **WHO)
    assert [(await fetch(source)).value for _ in range(2)] == ["issued-1", "issued-2"]


async def test_refresh_on_of_the_authority(authority: Issuer, tmp_path: Path) -> None:
    """The authority's `refresh_in` reaches the keeper."""
    authority.extra = {"refresh_in": 1_200}
    got = await fetch(entra_source(authority, tmp_path, client_secret="right-secret", **WHO))
    assert got.refresh_in is not None
    assert 1_190 < got.refresh_in <= 1_200


async def test_claims_reach_the_authority(authority: Issuer, tmp_path: Path) -> None:
    """The claims of a challenge are in the token request; continuous access is not advertised."""
    source = entra_source(authority, tmp_path, client_secret="right-secret", **WHO)
    await fetch(source, claims='{"access_token":{"a":1}}')
    assert authority.seen[0].form["claims"] == '{"access_token":{"a":1}}'
    await fetch(source)
    assert "claims" not in authority.seen[1].form


async def test_environment_completes_the_settings(authority: Issuer, tmp_path: Path) -> None:
    """AZURE_* values stand in for what is not configured."""
    environ = {
        "AZURE_TENANT_ID": "from-env",
        "AZURE_CLIENT_ID": "me",
        "AZURE_CLIENT_SECRET": "right-secret",
        "AZURE_AUTHORITY_HOST": authority.origin,
    }
    source = entra_source(authority, tmp_path, environ, credential="client_secret", authority=None)
    assert (await fetch(source)).value == "issued-1"
    assert authority.seen[0].path.startswith("/from-env/")


async def test_default_chain_reads_the_process_environment(
    authority: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing configured azure-identity's own chain decides, by the platform's variables."""
    for name, value in (("TENANT_ID", "t"), ("CLIENT_ID", "me"), ("CLIENT_SECRET", "right-secret")):
        monkeypatch.setenv(f"AZURE_{name}", value)
    assert (await fetch(entra_source(authority, tmp_path))).value == "issued-1"


async def test_secret_file_is_read_each_time(authority: Issuer, tmp_path: Path) -> None:
    """A rotated secret is used by the next fetch."""
    file = tmp_path / "secret"
    file.write_text("right-secret\n")
    source = entra_source(authority, tmp_path, client_secret_file=file, **WHO)
    await fetch(source)
    authority.secret = "next-secret"
    assert (await failure(source)).reason == "InvalidClient"
    file.write_text("next-secret\n")
    assert (await fetch(source)).value == "issued-3"


async def test_workload_identity(authority: Issuer, tmp_path: Path) -> None:
    """The federated token is the assertion, and a new one is picked up."""
    file = tmp_path / "federated"
    file.write_text("assertion-1")
    environ = {"AZURE_FEDERATED_TOKEN_FILE": str(file)}
    source = entra_source(authority, tmp_path, environ, credential="workload_identity", **WHO)
    await fetch(source)
    file.write_text("assertion-2")
    await fetch(source)
    assert [seen.form["client_assertion"] for seen in authority.seen] == ["assertion-1", "assertion-2"]
    file.unlink()
    assert (await failure(source)).reason == "CredentialUnavailable"


async def test_certificate(authority: Issuer, tmp_path: Path) -> None:
    """A certificate signs the assertion."""
    (tmp_path / "client.pem").write_bytes(client_certificate())
    source = entra_source(authority, tmp_path, certificate_file=tmp_path / "client.pem", **WHO)
    assert (await fetch(source)).value == "issued-1"
    assert authority.seen[0].form["client_assertion"].count(".") == 2


async def test_managed_identity(authority: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Managed identity asks the platform's endpoint for the resource, with the platform's header."""
    async with Issuer() as metadata:
        monkeypatch.setenv("IDENTITY_ENDPOINT", metadata.url)
        monkeypatch.setenv("IDENTITY_HEADER", "platform")
        source = entra_source(authority, tmp_path, credential="managed_identity", client_id="me")
        assert (await fetch(source)).value == "issued-1"
        assert metadata.seen[0].headers["x-identity-header"] == "platform"
        assert metadata.seen[0].query["resource"] == "https://digitaltwins.azure.net"
        assert metadata.seen[0].query["client_id"] == "me"


async def test_cli(tmp_path: Path, authority: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Azure CLI's token is used; without the program the failure is named."""
    program = tmp_path / "az"
    monkeypatch.setenv("PATH", str(tmp_path))
    source = entra_source(authority, tmp_path, credential="cli")
    assert (await failure(source)).reason == "CredentialUnavailable"
    answer = '{"accessToken":"from-cli","expiresOn":"2099-01-01 00:00:00.000000","expires_on":4070908800}'
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert (await fetch(source)).value == "from-cli"


async def test_no_environment_proxy(
    authority: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY does not get to see the token request."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    source = entra_source(authority, tmp_path, client_secret="right-secret", **WHO)
    assert (await fetch(source)).value == "issued-1"
