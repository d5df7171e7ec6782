"""The data listener beyond loopback: only with inbound authentication, whatever the address is called."""

from pathlib import Path

import pytest

from gateway.listeners import leads_elsewhere
from tests.support.configuration import problems

LINE = (
    "listen.host: must be loopback unless auth.inbound.keys, auth.inbound.key_files or"
    " listen.tls.client_ca_file is set (config.toml)"
)
ANY = "0.0.0.0"  # noqa: S104 - what the rule is about
KEY = 'auth.inbound.keys.orders = "0123456789abcdef"\n'
OPEN = [
    ANY,
    "::",
    "::0",
    "0:0:0:0:0:0:0:0",
    "192.168.1.5",
    "10.0.0.1",
    "169.254.1.1",
    "fe80::1",
    "fd00::1",
    "::2",
    "::ffff:0.0.0.0",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "126.255.255.255",
    "128.0.0.1",
    "gateway.example",
    "localhost.example",
    "localhost.localdomain",
    "ip6-localhost",
    "notlocalhost",
]
LOOPBACK = ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "localhost", "LocalHost",
            "::ffff:127.0.0.1"]  # fmt: skip


@pytest.mark.parametrize("host", OPEN)
def test_beyond_loopback_callers_must_say_who_they_are(host: str, tmp_path: Path) -> None:
    """Any address or name that others might reach is refused without keys or client certificates.

    With keys it is right; lists of users and names alone do not open it, since they need what is not there.
    """
    assert problems(tmp_path, f'listen.host = "{host}"\nadmin.port = 1') == [LINE]
    assert problems(tmp_path, f'listen.host = "{host}"\nadmin.port = 1\n{KEY}') == []
    uids = problems(tmp_path, f'listen.host = "{host}"\nadmin.port = 1\nauth.inbound.peer_uids = [0]')
    assert LINE in uids


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_needs_no_authentication(host: str, tmp_path: Path) -> None:
    """Every spelling of loopback is right, an IPv4 one in IPv6 form too."""
    assert problems(tmp_path, f'listen.host = "{host}"\nadmin.port = 1') == []


@pytest.mark.parametrize("host", ["", " ", "127.1", "2130706433", "0x7f.1", "0", "localhost.", "[::1]", "*"])
def test_what_is_no_address(host: str, tmp_path: Path) -> None:
    """Spellings that resolvers read in their own ways are one clear line, and not taken for loopback."""
    assert problems(tmp_path, f'listen.host = "{host}"') == [
        "listen.host: must be an IP address, without brackets, or a host name (config.toml)"
    ]


@pytest.mark.parametrize("host", OPEN)
def test_the_admin_listener_has_a_rule_of_its_own(host: str, tmp_path: Path) -> None:
    """It may listen anywhere, since page and /api ask for loopback or admin.token themselves."""
    assert problems(tmp_path, f'admin.host = "{host}"\nadmin.port = 1') == []


@pytest.mark.parametrize(
    ("host", "address", "elsewhere"),
    [
        ("localhost", "192.168.1.5", True),
        ("LOCALHOST", ANY, True),
        ("localhost", "127.0.0.1", False),
        ("localhost", "::1", False),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", False),
        ("gateway.example", "192.168.1.5", False),
        (ANY, ANY, False),
    ],
)
def test_localhost_that_is_not_loopback(host: str, address: str, *, elsewhere: bool) -> None:
    """A hosts file that gives localhost a reachable address is found out before anything listens there."""
    assert leads_elsewhere(host, address) is elsewhere


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('keys.a = "SECRET"\nkeys.b = "SECRET"', "keys.b: must differ from the key of a"),
        ('keys.a = ""', "keys.a: must be text that is not empty"),
        ('keys."" = "SECRET"', 'keys."": NAME'),
        ('keys."a b" = "SECRET"', 'keys."a b": NAME'),
        ('keys."a,uid:0" = "SECRET"', 'keys."a,uid:0": NAME'),
        (
            'key_files.a = "/nonexistent/key"',
            "key_files.a: the file cannot be read: No such file or directory",
        ),
        ('key_files.a = "/"', "key_files.a: the path is not that of a regular file"),
        ('key_files.a = "FOLDER/empty"', "key_files.a: the file is empty"),
        ('key_files.a = "FOLDER/short"', "key_files.a: must be at least 16 characters long"),
        ('key_files.a = "FOLDER/k"\nkey_files.b = "FOLDER/k"', "key_files.b: must differ from the key of a"),
        ('key_files.a = "FOLDER/k"\nkeys.b = "SECRET"', "key_files.a: must differ from the key of b"),
    ],
)
def test_keys_that_cannot_be_used(text: str, line: str, tmp_path: Path) -> None:
    """One clear line for each mistake, without the key."""
    secret = "0123456789abcdef"
    for name, content in (("empty", ""), ("short", "short"), ("k", f"{secret}\n")):
        (tmp_path / name).write_text(content)
    name = "the caller's name must be 1 to 64 letters, digits, '.', '_' or '-'"
    written = text.replace("FOLDER", str(tmp_path)).replace("SECRET", secret)
    (found,) = problems(tmp_path, f"[auth.inbound]\n{written}\n")
    assert found == f"auth.inbound.{line.replace('NAME', name)} (config.toml)"
