"""What Entra's refusals are called and told as: codes and statuses only, never the authority's own text."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from gateway.tokens import SourceError
from tests.support.authority import (
    WHO,
    clear_azure_variables,
    client_certificate,
    entra_source,
    running_authority,
)
from tests.support.issuer import Issuer
from tests.support.token_sources import failure, fetch


@pytest.fixture(autouse=True)
def no_azure_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests decide what is in the process's environment."""
    clear_azure_variables(monkeypatch)


@pytest.fixture
async def authority(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with running_authority(tmp_path) as issuer:
        yield issuer


async def told(
    authority: Issuer, tmp_path: Path, status: int, body: object, more: bytes = b""
) -> SourceError:
    """The failure when the authority answers so."""
    text = json.dumps(body).encode()
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"
    authority.raw = head % (status, len(text), more) + text
    return await failure(entra_source(authority, tmp_path, client_secret="right-secret", **WHO))


def refusal(code: str) -> dict[str, str]:
    return {"error": "invalid_client", "error_description": f"{code}: kanarienvogel Trace ID: 1"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AADSTS7000215", "InvalidClient"),
        ("AADSTS7000222", "InvalidClient"),
        ("AADSTS700027", "InvalidClient"),
        ("AADSTS700016", "InvalidClient"),
        ("AADSTS70011", "Refused"),
        ("AADSTS90002", "Refused"),
    ],
)
async def test_codes_are_repeated(authority: Issuer, tmp_path: Path, code: str, reason: str) -> None:
    """A refusal of the client's own credentials is told from any other, by the code alone."""
    error = await told(authority, tmp_path, 401, refusal(code), b"retry-after: 7\r\n")
    assert error.message == f"Entra gave no token (client_secret): refused with {code}."
    assert (error.reason, error.retry_after) == (reason, 7)


@pytest.mark.parametrize(
    ("status", "body", "reason", "cause"),
    [
        (500, {}, "IssuerStatus", "the authority answered 500"),
        (429, {"error": "kanarienvogel"}, "IssuerStatus", "the authority answered 429"),
        (200, {"token": 1}, "IssuerResponse", "the answer holds no token"),
    ],
)
async def test_statuses_are_repeated(
    authority: Issuer, tmp_path: Path, status: int, body: object, reason: str, cause: str
) -> None:
    """Without a code the status says what happened."""
    error = await told(authority, tmp_path, status, body)
    assert (error.reason, error.message) == (reason, f"Entra gave no token (client_secret): {cause}.")
    assert error.retry_after is None


async def test_a_header_that_is_no_text(authority: Issuer, tmp_path: Path) -> None:
    """Bytes that are not UTF-8 in the authority's headers do not hide the failure."""
    error = await told(authority, tmp_path, 429, {}, b"retry-after: \xff\r\n")
    assert (error.reason, error.retry_after) == ("IssuerStatus", None)


async def test_no_answer_at_all(authority: Issuer, tmp_path: Path) -> None:
    """A connection that is closed without an answer is an authority that cannot be reached."""
    authority.raw = b""
    error = await failure(entra_source(authority, tmp_path, client_secret="right-secret", **WHO))
    assert error.reason == "IssuerUnreachable"
    assert error.message == "Entra gave no token (client_secret): the authority cannot be reached."


async def test_an_answer_that_is_cut(authority: Issuer, tmp_path: Path) -> None:
    """An answer that ends too early holds no token, whatever it began with."""
    authority.raw = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    error = await failure(entra_source(authority, tmp_path, client_secret="right-secret", **WHO))
    assert error.reason == "IssuerResponse"


async def test_an_answer_that_is_no_json(authority: Issuer, tmp_path: Path) -> None:
    """A page in place of a token is an answer without one."""
    authority.body = b"<html>kanarienvogel</html>"
    error = await failure(entra_source(authority, tmp_path, client_secret="right-secret", **WHO))
    assert error.message == "Entra gave no token (client_secret): the answer holds no token."
    assert error.reason == "IssuerResponse"


async def test_a_certificate_with_a_password(authority: Issuer, tmp_path: Path) -> None:
    """Its key is opened with the password of the environment, and with no other."""
    pem = client_certificate()
    key = serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open"),
    )
    file = tmp_path / "client.pem"
    file.write_bytes(key + pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    for password, reason in (
        ("open", None),
        ("shut", "CredentialUnavailable"),
        ("", "CredentialUnavailable"),
    ):
        environ = {"AZURE_CLIENT_CERTIFICATE_PASSWORD": password}
        source = entra_source(authority, tmp_path, environ, certificate_file=file, **WHO)
        if reason is None:
            assert (await fetch(source)).value == "issued-1"
        else:
            assert (await failure(source)).reason == reason


async def test_nothing_is_set_up(authority: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential of this machine that is not here, and a chain without any, are told apart."""
    monkeypatch.setenv("PATH", str(tmp_path))
    error = await failure(entra_source(authority, tmp_path, credential="cli"))
    assert error.message == "Entra gave no token (cli): it is not available here."
    assert error.reason == "CredentialUnavailable"
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    error = await failure(entra_source(authority, tmp_path))
    assert error.message == "Entra gave no token (default): no credential gave a token."
    assert error.reason == "CredentialUnavailable"


async def test_a_program_that_fails(
    authority: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command line tool says of its failure is not repeated."""
    program = tmp_path / "az"
    program.write_text("#!/bin/sh\necho kanarienvogel >&2\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    error = await failure(entra_source(authority, tmp_path, credential="cli"))
    assert error.message == "Entra gave no token (cli): no credential gave a token."
    assert error.reason == "CredentialUnavailable"
