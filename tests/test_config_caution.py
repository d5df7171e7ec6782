"""Warnings: what is allowed, but should be known."""

from pathlib import Path

import pytest

from gateway.config import warnings
from tests.support.configuration import settings

CLEAR = "a secret in clear in the file; use a file of its own or the environment"
KEY = "0123456789abcdef"


def test_nothing_to_say(tmp_path: Path) -> None:
    """An ordinary configuration has no warnings."""
    assert warnings(settings(tmp_path), {}) == ()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"admin.token = '{KEY}'", "admin.token"),
        ("auth.entra.client_secret = 's'", "auth.entra.client_secret"),
        ("auth.oauth2.client_secret = 's'", "auth.oauth2.client_secret"),
        ("auth.static.token = 's'", "auth.static.token"),
        (f"auth.inbound.keys.alice = '{KEY}'", "auth.inbound.keys.alice"),
        ("upstream.proxy = 'http://user:s@proxy.example:3128'", "upstream.proxy"),
        ("fleet.url = 'rediss://:s@valkey.example'\nfleet.expected_size = 2", "fleet.url"),
    ],
)
def test_secret_in_the_file(text: str, key: str, tmp_path: Path) -> None:
    """Each secret that stands in the TOML file is named."""
    assert warnings(settings(tmp_path, text), {}) == (f"{key}: {CLEAR}",)


def test_secret_from_the_environment(tmp_path: Path) -> None:
    """A secret that a variable gives is not warned of, be it alone or beside one in the file."""
    environ = {
        "ADT_GATEWAY_ADMIN__TOKEN": KEY,
        "ADT_GATEWAY_AUTH__INBOUND__KEYS__BOB": KEY + "b",
        "ADT_GATEWAY_UPSTREAM__PROXY": "http://user:s@proxy.example:3128",
    }
    loaded = settings(tmp_path, f"admin.token = 'old'\nauth.inbound.keys.alice = '{KEY}'", environ)
    assert warnings(loaded, environ) == (f"auth.inbound.keys.alice: {CLEAR}",)


def test_a_token_that_can_be_guessed(tmp_path: Path) -> None:
    """A short admin.token is told: whoever can reach the admin listener may try as often as they like."""
    environ = {"ADT_GATEWAY_ADMIN__TOKEN": KEY[:-1]}
    told = ("admin.token: fewer than 16 characters can be guessed",)
    assert warnings(settings(tmp_path, environ=environ), environ) == told


def test_nobody_is_many(tmp_path: Path) -> None:
    """The user id of nobody in the allow-list is told: the kernel says it of every user it cannot name."""
    text = f"listen.unix_socket = '{tmp_path}/gateway.sock'\nauth.inbound.peer_uids = [1000, 65534]"
    told = ("auth.inbound.peer_uids: 65534 is also every user of another user namespace",)
    assert warnings(settings(tmp_path, text), {}) == told


def test_a_token_file_that_is_not_there_yet(tmp_path: Path) -> None:
    """The file of whoever is slower to start is told, and is no mistake."""
    loaded = settings(tmp_path, f"auth.mode = 'file'\nauth.file.path = '{tmp_path}/token'")
    told = ("auth.file.path: there is no such file yet; the gateway is not ready until there is",)
    assert warnings(loaded, {}) == told
    (tmp_path / "token").write_text("a-token")
    assert warnings(loaded, {}) == ()


def test_a_token_file_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """A path that became unusable after it was accepted is told with the reason, not taken for missing."""
    loaded = settings(tmp_path, f"auth.mode = 'file'\nauth.file.path = '{tmp_path}/folder/token'")
    (tmp_path / "folder").write_text("no directory any more")
    told = "auth.file.path: the file cannot be read: Not a directory; the gateway is not ready until it can"
    assert warnings(loaded, {}) == (told,)


def test_proxy_without_password(tmp_path: Path) -> None:
    """A proxy without credentials is no secret."""
    assert warnings(settings(tmp_path, "upstream.proxy = 'http://proxy.example:3128'"), {}) == ()


def test_transport_in_clear(tmp_path: Path) -> None:
    """A token or a key that travels in clear, and a token that is never renewed, are told."""
    environ = {"ADT_GATEWAY_AUTH__INBOUND__KEYS__ALICE": KEY, "ADT_GATEWAY_AUTH__STATIC__TOKEN": "s"}
    text = """
        upstream.base_url = "http://twins.example"
        upstream.allow_plain_http = true
        listen.host = "0.0.0.0"
        auth.mode = "static"
        """
    assert warnings(settings(tmp_path, text, environ), environ) == (
        "upstream.allow_plain_http: the token travels in clear",
        "auth.mode: a static token is never renewed; static is meant for tests",
        "listen.host: without listen.tls, requests and shared keys travel in clear",
    )


def test_plain_http_switch_without_need(tmp_path: Path) -> None:
    """The switch alone, with an upstream on loopback, is nothing to warn of."""
    text = "upstream.base_url = 'http://127.0.0.1:8090'\nupstream.allow_plain_http = true\n"
    environ = {"ADT_GATEWAY_AUTH__STATIC__TOKEN": "s"}
    assert warnings(settings(tmp_path, text + "auth.mode = 'static'", environ), environ) == ()
