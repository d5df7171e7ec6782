"""No secret shows in a problem, a warning or a repr, wherever in the configuration it was put."""

import traceback
from pathlib import Path

import pytest

from gateway.config import ConfigurationError, Problem, load, warnings
from gateway.config.keys import CATALOGUE, Key
from tests.support.configuration import BASE, settings

CANARY = "canary-4f9a1c7e2b"
KEYS = list(CATALOGUE.keys.values())


def told(path: Path | None, environ: dict[str, str]) -> str:
    """All that a user, a log or a crash report could see of this configuration."""
    try:
        loaded = load(path, environ)
    except ConfigurationError as error:
        lines = [str(problem) for problem in error.problems]
        return "\n".join([*lines, repr(error.problems), repr(error), *traceback.format_exception(error)])
    return "\n".join([repr(loaded), str(loaded), loaded.model_dump_json(), *warnings(loaded, environ)])


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_canary_in_any_bad_value(key: Key, tmp_path: Path) -> None:
    """Whatever key a secret was put into by mistake, in whatever form, the refusal does not repeat it."""
    path = tmp_path / "config.toml"
    for value in (
        f'"{CANARY} \\u0007"',
        f'["{CANARY} "]',
        f'{{ a = "{CANARY} " }}',
        f'"http://u:{CANARY}@x/?q#"',
    ):
        base = "" if key.name == "upstream.base_url" else BASE
        path.write_text(f"{base}auth.mode = 'passthrough'\n" if key.name != "auth.mode" else base)
        with path.open("a") as file:
            file.write(f"{key.name} = {value}\n")
        try:
            load(path, {})
        except ConfigurationError:
            assert CANARY not in told(path, {}), value


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_canary_in_any_bad_variable(key: Key) -> None:
    """The same for the environment, broken JSON and undecodable bytes included."""
    base = {"ADT_GATEWAY_UPSTREAM__BASE_URL": "https://a.example"}
    for value in (f"{CANARY} \a", f'["{CANARY}"', f'{{"a": "{CANARY}"', f"{CANARY}\udcff"):
        environ = base | {key.variable: value}
        try:
            load(None, environ)
        except ConfigurationError:
            assert CANARY not in told(None, environ), value


def test_canary_in_a_good_configuration(tmp_path: Path) -> None:
    """Secrets of a configuration that loads are masked in its repr, its dump and its warnings."""
    (tmp_path / "key").write_text(CANARY)
    path = tmp_path / "config.toml"
    path.write_text(f"""
        upstream.base_url = "https://a.example"
        admin.token = "{CANARY}"
        auth.entra.client_secret = "{CANARY}"
        auth.oauth2.client_secret = "{CANARY}"
        auth.static.token = "{CANARY}"
        auth.inbound.keys.alice = "{CANARY}-alice"
        auth.inbound.key_files.bob = "{tmp_path}/key"
        """)
    assert "alice" in told(path, {})
    assert CANARY not in told(path, {})


def test_proxy_is_masked(tmp_path: Path) -> None:
    """A proxy's password does not show in the repr."""
    loaded = settings(tmp_path, f"upstream.proxy = 'http://user:{CANARY}@proxy.example:3128'")
    assert loaded.upstream.proxy == f"http://user:{CANARY}@proxy.example:3128"
    assert CANARY not in repr(loaded)
    assert CANARY not in str(loaded.upstream)


@pytest.mark.parametrize(
    "text",
    [
        f"admin.token = {CANARY}",
        f"admin.token '{CANARY}'",
        f"a = '{CANARY}\n",
        f"a = 1{CANARY}",
        f"'{CANARY}",
    ],
)
def test_canary_beside_a_syntax_error(text: str, tmp_path: Path) -> None:
    """A line that is no TOML is told by its place, not by its text."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert "is not valid TOML" in told(path, {})
    assert CANARY not in told(path, {})


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem("listen.port", "must be x", "/etc/gateway.toml"),
            "listen.port: must be x (/etc/gateway.toml)",
        ),
        (Problem("listen.port", "must be x", "default"), "listen.port: must be x"),
        (Problem("", "cannot be read", "/etc/gateway.toml"), "/etc/gateway.toml: cannot be read"),
        (Problem("a", "must be x", "/a\nb\x1b\udcff\u202e"), r"a: must be x (/a\nb\x1b\udcff\u202e)"),
    ],
)
def test_problem_is_one_line(problem: Problem, line: str) -> None:
    """A problem is one printable line: key, message, and where the value came from."""
    assert str(problem) == line
