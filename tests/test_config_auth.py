"""Checks of `auth`: each mode and credential has its parts, callers' keys are good."""

from pathlib import Path

import pytest

from tests.support.configuration import problems

OAUTH2 = """
auth.mode = "oauth2"
auth.oauth2.client_id = "gateway"
auth.oauth2.client_secret = "0123456789"
"""


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("https://issuer.example/token?tenant=a", None),
        ("http://127.0.0.1:8090/t/oauth2/v2.0/token", None),
        ("http://issuer.example/token", "must be https, or http to loopback"),
        ("https://user:pass@issuer.example/token", "must have no user name or password"),
        ("issuer.example/token", "must be an absolute http:// or https:// URL"),
    ],
)
def test_token_url(url: str, line: str | None, tmp_path: Path) -> None:
    """The client secret is sent by https, or to loopback."""
    expected = [f"auth.oauth2.token_url: {line} (config.toml)"] if line else []
    assert problems(tmp_path, f'{OAUTH2}auth.oauth2.token_url = "{url}"') == expected


def test_oauth2_needs(tmp_path: Path) -> None:
    """Whatever the mode needs is told at once."""
    assert problems(tmp_path, "auth.mode = 'oauth2'") == [
        "auth.oauth2.token_url: is required with auth.mode = oauth2",
        "auth.oauth2.client_id: is required with auth.mode = oauth2",
        "auth.oauth2.client_secret: is required with auth.mode = oauth2; client_secret_file does as well",
    ]


def test_one_secret_only(tmp_path: Path) -> None:
    """Two secrets leave open which one is meant."""
    (tmp_path / "secret").write_text("0123456789")
    text = (
        f"auth.oauth2.token_url = 'https://a.example'\nauth.oauth2.client_secret_file = '{tmp_path}/secret'"
    )
    assert problems(tmp_path, OAUTH2 + text) == [
        "auth.oauth2.client_secret_file: must not be set together with client_secret (config.toml)"
    ]
    assert problems(tmp_path, OAUTH2.replace("client_secret =", "extra.note =") + text) == []


def test_reserved_parameters(tmp_path: Path) -> None:
    """Further parameters cannot replace those of the grant."""
    names = "client_assertion, client_id, client_secret, grant_type, scope"
    assert problems(tmp_path, "auth.oauth2.extra = { audience = 'a', scope = 'b' }") == [
        f"auth.oauth2.extra.scope: must be none of {names} (config.toml)"
    ]


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("file", "auth.file.path: is required with auth.mode = file"),
        ("static", "auth.static.token: is required with auth.mode = static"),
    ],
)
def test_mode_without_its_key(mode: str, line: str, tmp_path: Path) -> None:
    """A mode without its one key is told."""
    assert problems(tmp_path, f"auth.mode = '{mode}'") == [line]


def test_keys_of_other_modes_are_not_judged(tmp_path: Path) -> None:
    """Files of a mode that is off need not be there."""
    text = (
        "auth.mode = 'none'\nauth.file.path = '/nonexistent'\nauth.oauth2.client_secret_file = '/nonexistent'"
    )
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize("credential", ["default", "managed_identity", "cli"])
def test_credentials_that_find_their_own(credential: str, tmp_path: Path) -> None:
    """These credentials of azure-identity need nothing from here."""
    assert problems(tmp_path, f"auth.entra.credential = '{credential}'") == []


@pytest.mark.parametrize(
    ("credential", "key", "variable"),
    [
        ("client_secret", "client_secret", "AZURE_CLIENT_SECRET"),
        ("certificate", "certificate_file", "AZURE_CLIENT_CERTIFICATE_PATH"),
        ("workload_identity", "federated_token_file", "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
def test_entra_parts(credential: str, key: str, variable: str, tmp_path: Path) -> None:
    """An application's credential has directory, application and proof, from keys or AZURE_* variables."""
    proof = tmp_path / "proof"
    proof.write_text("proof")
    text = f"auth.entra.credential = '{credential}'"
    need = f"is required with auth.entra.credential = {credential}"
    assert problems(tmp_path, text) == [
        f"auth.entra.tenant_id: {need}; AZURE_TENANT_ID does as well",
        f"auth.entra.client_id: {need}; AZURE_CLIENT_ID does as well",
        f"auth.entra.{key}: {need}; {variable} does as well",
    ]
    environ = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", variable: str(proof)}
    assert problems(tmp_path, text, environ) == []
    keys = f"\nauth.entra.tenant_id = 't'\nauth.entra.client_id = 'c'\nauth.entra.{key} = '{proof}'"
    assert problems(tmp_path, text + keys) == []


def test_missing_file_of_a_variable(tmp_path: Path) -> None:
    """A file that an AZURE_* variable names is told by that variable."""
    environ = {
        "AZURE_TENANT_ID": "t",
        "AZURE_CLIENT_ID": "c",
        "AZURE_FEDERATED_TOKEN_FILE": "/nonexistent",
        "AZURE_AUTHORITY_HOST": "http://login.example",
    }
    assert problems(tmp_path, "auth.entra.credential = 'workload_identity'", environ) == [
        "AZURE_FEDERATED_TOKEN_FILE: the file cannot be read: No such file or directory",
        "AZURE_AUTHORITY_HOST: must be a host name or an https:// URL without a path",
    ]


@pytest.mark.parametrize("authority", ["login.microsoftonline.us", "https://login.microsoftonline.us/"])
def test_authority(authority: str, tmp_path: Path) -> None:
    """The authority is a host or an https origin."""
    assert problems(tmp_path, f"auth.entra.authority = '{authority}'") == []


def test_inbound_keys(tmp_path: Path) -> None:
    """A caller's key is long, can be sent, and is nobody else's; each fault names the caller."""
    (tmp_path / "erin").write_text("0123456789abcdef\n")
    (tmp_path / "frank").write_text("\n")
    text = f"""
        [auth.inbound.keys]
        alice = "0123456789abcdef"
        bob = "0123456789abcde"
        carol = "0123456789 abcdef"
        dave = "0123456789abcdef"
        "eve\\n" = "fedcba9876543210"
        frank = "fedcba9876543211"
        [auth.inbound.key_files]
        erin = "{tmp_path}/erin"
        frank = "{tmp_path}/frank"
        grace = "{tmp_path}/grace"
        [upstream]
        base_url = "https://a.example"
        """
    name = "the caller's name must be 1 to 64 letters, digits, '.', '_' or '-'"
    assert [line.removeprefix("auth.inbound.") for line in problems(tmp_path, text)] == [
        "keys.bob: must be at least 16 characters long (config.toml)",
        "keys.carol: must be printable ASCII without spaces (config.toml)",
        "keys.dave: must differ from the key of alice (config.toml)",
        "key_files.erin: must differ from the key of alice (config.toml)",
        "key_files.frank: must not be in auth.inbound.keys too (config.toml)",
        "key_files.frank: the file is empty (config.toml)",
        "key_files.grace: the file cannot be read: No such file or directory (config.toml)",
        f'keys."eve\\n": {name} (config.toml)',
    ]


@pytest.mark.parametrize("header", ["X-Gateway-Key", "x-api-key", "Ocp-Apim-Subscription-Key", "X-App"])
def test_inbound_header(header: str, tmp_path: Path) -> None:
    """The key may have a header of any name that has no other meaning."""
    assert problems(tmp_path, f"auth.inbound.header = '{header}'") == []


def test_static_token(tmp_path: Path) -> None:
    """A fixed token has the syntax of a bearer token."""
    assert problems(tmp_path, "auth.mode = 'static'\nauth.static.token = 'a.b-c_d~e+f/g=='") == []


def test_a_token_file_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """A path that cannot be looked at is one problem that says why; a file that is only missing is none."""
    path = tmp_path / ("x" * 300)
    fault = "the file cannot be read: File name too long"
    assert problems(tmp_path, f"auth.mode = 'file'\nauth.file.path = '{path}'") == [
        f"auth.file.path: {fault} (config.toml)"
    ]
    assert problems(tmp_path, f"auth.mode = 'file'\nauth.file.path = '{tmp_path}/none'") == []
