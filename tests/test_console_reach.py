"""Where the commands look for the gateway, and with what: options, environment, file, defaults."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import ConfigurationError
from gateway.console import BadUsage, admin_reach, data_reach
from gateway.console.reach import Reach

KEY = "a-key-of-16-chars-or-more"
OTHER = "another-key-of-16-chars"


def data(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    url: str | None = None,
    key_file: Path | None = None,
) -> Reach:
    return data_reach(config, environ or {}, url, key_file=key_file, ca_file=None)


def problems(config: Path | None, environ: Mapping[str, str]) -> list[str]:
    """What is wrong for the commands that ask the admin listener."""
    with pytest.raises(ConfigurationError) as raised:
        admin_reach(config, environ, None)
    return [str(problem) for problem in raised.value.problems]


def test_defaults() -> None:
    """Without any configuration the gateway is where it listens by default, and needs no secret."""
    admin = admin_reach(None, {}, None)
    assert (admin.url, admin.secret) == ("http://127.0.0.1:9464", None)
    assert (data().url, data().secret, data().unix_socket) == ("http://127.0.0.1:8080", None, None)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:1234"),  # noqa: S104 - an address to reach, not to listen on
        ("::", "http://[::1]:1234"),
        ("::1", "http://[::1]:1234"),
        ("10.1.2.3", "http://10.1.2.3:1234"),
        ("admin.internal", "http://admin.internal:1234"),
    ],
)
def test_where_a_listener_is_reached(host: str, url: str) -> None:
    """A listener on every address is reached by loopback; an IPv6 address stands in brackets."""
    environ = {"ADT_GATEWAY_ADMIN__HOST": host, "ADT_GATEWAY_ADMIN__PORT": "1234"}
    assert admin_reach(None, environ, None).url == url


def test_file_and_environment(tmp_path: Path) -> None:
    """The gateway's own file serves, and a variable goes over it."""
    config = tmp_path / "gateway.toml"
    config.write_text('admin.port = 1\nadmin.token = "in-the-file"\nlisten.port = 2\n')
    assert admin_reach(config, {}, None).url == "http://127.0.0.1:1"
    admin = admin_reach(config, {"ADT_GATEWAY_ADMIN__TOKEN": "över-it", "ADT_GATEWAY_ADMIN__PORT": "3"}, None)
    assert (admin.url, admin.header, admin.secret) == (
        "http://127.0.0.1:3",
        b"authorization",
        "Bearer över-it".encode(),
    )
    assert data(config).url == "http://127.0.0.1:2"


def test_the_rest_of_the_configuration_need_not_be_there(tmp_path: Path) -> None:
    """Whatever is missing or wrong in other sections does not keep a person from looking at jobs."""
    config = tmp_path / "gateway.toml"
    rest = 'auth.mode = "oauth2"\nauth.oauth2.client_secret_file = "/nowhere"\nnonsense = 1\ntracing = 5\n'
    environ = {"ADT_GATEWAY_UPSTREAM__BASE_URL": "ftp://x", "ADT_GATEWAY_NOPE__X": "1"}
    config.write_text(f"admin.port = 1\nlisten.port = 2000-01-01\n{rest}")
    assert admin_reach(config, environ, None).url == "http://127.0.0.1:1"
    config.write_text(f'admin.port = "many"\nauth.inbound.keys.app = "{KEY}"\n{rest}')
    assert data(config, environ).secret == KEY.encode()


def test_mistakes_in_what_is_read(tmp_path: Path) -> None:
    """A mistake in a section that is read is told in the words of `check`, without those of others."""
    config = tmp_path / "gateway.toml"
    config.write_text('admin.port = "many"\nadmin.hots = "x"\nlisten.port = -1\n')
    assert problems(config, {}) == [
        f"admin.port: must be a whole number from 0 to 65535 ({config})",
        f"admin.hots: is not a known key; did you mean admin.host? ({config})",
    ]
    [unknown] = problems(None, {"ADT_GATEWAY_ADMIN__PROT": "1", "ADT_GATEWAY_LISTEN__PROT": "1"})
    assert unknown.startswith("admin.prot: is not a known key; did you mean ADT_GATEWAY_ADMIN__PORT?")
    [missing] = problems(tmp_path / "none.toml", {})
    assert missing.endswith("none.toml: cannot be read: No such file or directory")
    config.write_text("admin = 3\n")
    assert problems(config, {}) == [f"admin: must be a table ({config})"]
    config.write_text("admin = {\n")
    assert "is not valid TOML" in problems(config, {})[0]


def test_options_win() -> None:
    """What is named on the command line is where the gateway is."""
    environ = {"ADT_GATEWAY_ADMIN__PORT": "0", "ADT_GATEWAY_LISTEN__UNIX_SOCKET": "/run/gateway.sock"}
    assert admin_reach(None, environ, "http://LOCALHOST:1/").url == "http://localhost:1"
    by_url = data(None, environ, "https://gateway.internal")
    assert (by_url.url, by_url.unix_socket) == ("https://gateway.internal", None)
    assert data(None, environ, "unix:/other.sock").name == "unix:/other.sock"
    assert data(None, environ).unix_socket == Path("/run/gateway.sock")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:9464", "ftp://x", "http://x/path", "http://u:p@x", "http://", "http://x:99999", "http://é"],
)
def test_what_is_no_address(url: str) -> None:
    """An option that is no origin says what it must be, and does not repeat what it was."""
    for option, reach in (("--admin", admin_reach), ("--gateway", data)):
        with pytest.raises(BadUsage, match=f"{option}: must "):
            reach(None, {}, url)


def test_a_free_port_has_to_be_named() -> None:
    """Where the gateway took a free port, only its log knows which."""
    with pytest.raises(BadUsage, match=r"admin\.port is 0, .* --admin"):
        admin_reach(None, {"ADT_GATEWAY_ADMIN__PORT": "0"}, None)
    with pytest.raises(BadUsage, match=r"listen\.port is 0, .* --gateway"):
        data(None, {"ADT_GATEWAY_LISTEN__PORT": "0"})


def test_tls_of_the_data_listener(tmp_path: Path) -> None:
    """A data listener with a certificate is asked over https."""
    config = tmp_path / "gateway.toml"
    config.write_text('listen.tls.certificate_file = "/not/read/here"\nlisten.host = "gateway.internal"\n')
    assert data(config).url == "https://gateway.internal:8080"


def test_shared_keys(tmp_path: Path) -> None:
    """The key is that of --key-file, else the first configured, in the configured header."""
    file = tmp_path / "key"
    file.write_text(f"{OTHER}\n")
    environ = {"ADT_GATEWAY_AUTH__INBOUND__KEYS__APP": KEY, "ADT_GATEWAY_AUTH__INBOUND__HEADER": "x-other"}
    reach = data(None, environ)
    assert (reach.header, reach.secret) == (b"x-other", KEY.encode())
    assert data(None, environ, key_file=file).secret == OTHER.encode()
    assert data(None, {"ADT_GATEWAY_AUTH__INBOUND__KEY_FILES__APP": str(file)}).secret == OTHER.encode()
    assert OTHER not in repr(data(None, environ, key_file=file))


def test_key_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A key file that is not there, or no key, is told by its option or its key."""
    (tmp_path / "empty").write_text("")
    with pytest.raises(BadUsage, match="--key-file: the file cannot be read: No such file"):
        data(key_file=tmp_path / "none")
    with pytest.raises(BadUsage, match="--key-file: the file is empty"):
        data(key_file=tmp_path / "empty")
    with pytest.raises(BadUsage, match=r"auth\.inbound\.key_files: the path is not that of a regular file"):
        data(None, {"ADT_GATEWAY_AUTH__INBOUND__KEY_FILES__APP": str(tmp_path)})
