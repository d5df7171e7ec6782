"""Which azure-identity credential the settings mean, and what it is told."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.config import Entra
from gateway.tokens.credentials import BUILDERS, Identity, identity_of, kind_of
from gateway.tokens.token import Reason, SourceError
from tests.support.authority import clear_azure_variables, entra_source, running_authority
from tests.support.issuer import Issuer
from tests.support.token_sources import fetch

FILE = Path("/nowhere/file")
CANARY = "kanarienvogel7f3a9"
ENVIRONMENT = {
    "AZURE_TENANT_ID": "t",
    "AZURE_CLIENT_ID": "c",
    "AZURE_CLIENT_SECRET": CANARY,
    "AZURE_CLIENT_CERTIFICATE_PATH": "/cert",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD": CANARY,
    "AZURE_FEDERATED_TOKEN_FILE": "/federated",
    "AZURE_AUTHORITY_HOST": "https://authority.example",
}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (Entra(), "default"),
        (Entra(client_secret=SecretStr("x")), "client_secret"),
        (Entra(client_secret_file=FILE), "client_secret"),
        (Entra(certificate_file=FILE), "certificate"),
        (Entra(federated_token_file=FILE), "workload_identity"),
        (Entra(client_secret=SecretStr("x"), certificate_file=FILE), "client_secret"),
        (Entra(certificate_file=FILE, federated_token_file=FILE), "certificate"),
        (Entra(credential="cli", client_secret=SecretStr("x")), "cli"),
        (Entra(credential="managed_identity"), "managed_identity"),
    ],
)
def test_kind(settings: Entra, kind: str) -> None:
    """What is set decides, unless the credential is named; every kind can be built."""
    assert kind_of(settings) == kind
    assert kind in BUILDERS


def test_environment_stands_in() -> None:
    """Each value that is not set comes from its variable, and is empty without one."""
    who = identity_of(Entra(), "", ENVIRONMENT, 2.5)
    assert who == Identity(
        "t",
        "c",
        CANARY,
        "/cert",
        CANARY,
        "/federated",
        {"authority": "https://authority.example"},
        process_timeout=2,
    )
    assert identity_of(Entra(), "", {}, 0.2) == Identity("", "", "", "", "", "", {}, process_timeout=1)


def test_settings_go_before_the_environment() -> None:
    """What is configured is not overruled."""
    settings = Entra(
        tenant_id="mine",
        client_id="me",
        certificate_file=FILE,
        federated_token_file=FILE,
        authority="https://own.example",
    )
    who = identity_of(settings, "own", ENVIRONMENT, 10)
    assert (who.tenant, who.client, who.secret) == ("mine", "me", "own")
    assert (who.certificate, who.federated) == (str(FILE), str(FILE))
    assert who.authority == {"authority": "https://own.example"}


def test_secrets_are_not_shown() -> None:
    """Neither the secret nor a certificate's password is in the record's text."""
    assert CANARY not in repr(identity_of(Entra(), "", ENVIRONMENT, 1))


@pytest.mark.parametrize(
    ("kind", "missing", "key"),
    [
        ("client_secret", "AZURE_TENANT_ID", "tenant_id"),
        ("client_secret", "AZURE_CLIENT_ID", "client_id"),
        ("client_secret", "AZURE_CLIENT_SECRET", "client_secret"),
        ("certificate", "AZURE_CLIENT_CERTIFICATE_PATH", "certificate_file"),
        ("certificate", "AZURE_CLIENT_ID", "client_id"),
        ("workload_identity", "AZURE_FEDERATED_TOKEN_FILE", "federated_token_file"),
        ("workload_identity", "AZURE_TENANT_ID", "tenant_id"),
    ],
)
def test_what_is_missing_is_named(kind: str, missing: str, key: str) -> None:
    """Setting and variable are told, so that either can be set."""
    environ = {name: value for name, value in ENVIRONMENT.items() if name != missing}
    with pytest.raises(SourceError) as raised:
        BUILDERS[kind](identity_of(Entra(), "", environ, 1), {})
    assert raised.value.reason == Reason.CREDENTIAL_UNAVAILABLE
    assert raised.value.message == f"Neither auth.entra.{key} nor {missing} is set."


async def test_the_chain_knows_the_managed_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured client is the one that the platform's endpoint is asked for; without one it is its own."""
    clear_azure_variables(monkeypatch)
    async with running_authority(tmp_path) as authority, Issuer() as metadata:
        monkeypatch.setenv("IDENTITY_ENDPOINT", metadata.url)
        monkeypatch.setenv("IDENTITY_HEADER", "platform")
        assert (await fetch(entra_source(authority, tmp_path, client_id="me"))).value == "issued-1"
        assert metadata.seen[0].query["client_id"] == "me"
        await fetch(entra_source(authority, tmp_path))
        assert "client_id" not in metadata.seen[1].query


async def test_the_chain_knows_the_tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured tenant is the one that a workload identity of the chain asks."""
    clear_azure_variables(monkeypatch)
    file = tmp_path / "federated"
    file.write_text("assertion")
    async with running_authority(tmp_path) as authority:
        for name, value in (
            ("TENANT_ID", "other"),
            ("CLIENT_ID", "me"),
            ("FEDERATED_TOKEN_FILE", str(file)),
            ("AUTHORITY_HOST", authority.origin),
        ):
            monkeypatch.setenv(f"AZURE_{name}", value)
        await fetch(entra_source(authority, tmp_path, tenant_id="tenant"))
        assert authority.seen[0].path == "/tenant/oauth2/v2.0/token"
