"""File, environment and defaults become settings, or every mistake at once."""

from pathlib import Path

import pytest

from gateway.config import ConfigurationError, Problem, load
from tests.support.configuration import BASE, problems, settings

URL = "https://example.api.weu.digitaltwins.azure.net"
NOT_PRIVATE = "must be https, or http to loopback or with upstream.allow_plain_http"
SECTIONS = "upstream, listen, admin, auth, routes, tracing, jobs, fleet, limits, retry, metrics, log"
BASE_VARIABLE = {"ADT_GATEWAY_UPSTREAM__BASE_URL": URL}


def test_environment_alone_is_enough() -> None:
    """Without a file the settings come from the environment and the defaults."""
    loaded = load(None, BASE_VARIABLE)
    assert loaded.upstream.base_url == URL
    assert loaded.listen.port == 8080


def test_environment_wins_over_file(tmp_path: Path) -> None:
    """A variable replaces the file's value, and leaves the file's other values alone."""
    loaded = settings(tmp_path, "listen.port = 1\nlog.level = 'debug'", {"ADT_GATEWAY_LISTEN__PORT": "2"})
    assert (loaded.listen.port, loaded.log.level) == (2, "debug")


def test_environment_replaces_a_bad_value_of_the_file(tmp_path: Path) -> None:
    """What the environment replaces is not judged."""
    assert settings(tmp_path, "listen.port = 'x'", {"ADT_GATEWAY_LISTEN__PORT": "2"}).listen.port == 2


def test_no_configuration_says_what_is_required() -> None:
    """Without anything the one required key is named, with its variable."""
    with pytest.raises(ConfigurationError) as caught:
        load(None, {})
    assert caught.value.problems == (
        Problem(
            "upstream.base_url",
            "is required; set it in the file or as ADT_GATEWAY_UPSTREAM__BASE_URL",
            "default",
        ),
    )


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Variable, key, type, range and rule: each mistake is reported in the same run."""
    text = """
        [upstream]
        base_url = "http://twins.example"
        [listen]
        prot = 8080
        port = "8080"
        [auth]
        mode = "oauth2"
        timeout = 0
        oauth2.client_id = 7
        """
    assert problems(tmp_path, text, {"ADT_GATEWAY_FOO__BAR": "1"}) == [
        "foo.bar: is not a known key; config.example.toml names them all (ADT_GATEWAY_FOO__BAR)",
        "listen.port: must be a whole number from 0 to 65535 (config.toml)",
        "listen.prot: is not a known key; did you mean listen.port? (config.toml)",
        "auth.timeout: must be a number above 0 and up to 86400 (config.toml)",
        "auth.oauth2.client_id: must be text that is not empty (config.toml)",
        f"upstream.base_url: {NOT_PRIVATE} (config.toml)",
        "auth.oauth2.token_url: is required with auth.mode = oauth2",
        "auth.oauth2.client_secret: is required with auth.mode = oauth2; client_secret_file does as well",
    ]


def test_rules_do_not_judge_defaults_in_place_of_bad_values(tmp_path: Path) -> None:
    """A key that is wrong by itself gets no second line from a rule that would see its default."""
    assert problems(tmp_path, "auth.mode = 'static'\nauth.static.token = 3") == [
        "auth.static.token: must be text that is not empty (config.toml)"
    ]


def test_unknown_key_without_a_near_one_lists_the_known(tmp_path: Path) -> None:
    """Where no name is near, the section's keys are listed."""
    assert problems(tmp_path, "log.colour = true") == [
        "log.colour: is not a known key; known here: level, format (config.toml)"
    ]


def test_unknown_variable_suggests_a_variable(tmp_path: Path) -> None:
    """A mistyped variable is named, with the one that was probably meant."""
    assert problems(tmp_path, environ={"ADT_GATEWAY_LISTEN__PROT": "1"}) == [
        "listen.prot: is not a known key; did you mean ADT_GATEWAY_LISTEN__PORT? (ADT_GATEWAY_LISTEN__PROT)"
    ]


def test_section_that_is_no_table(tmp_path: Path) -> None:
    """A value where a section belongs is told, also where a variable sets a key of that section."""
    lines = problems(tmp_path, BASE + "listen = 3", {"ADT_GATEWAY_LISTEN__PORT": "1"})
    assert lines == ["listen: must be a table (config.toml)"]


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is one line; what it might have set is not said to be missing."""
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    assert [str(problem) for problem in caught.value.problems] == [
        f"{path}: cannot be read: No such file or directory"
    ]


def test_syntax_error_and_bad_variable_are_both_told(tmp_path: Path) -> None:
    """A file that is not TOML is told with line and column, together with the variables' mistakes."""
    assert problems(tmp_path, BASE + "listen.port = \n", {"ADT_GATEWAY_LOG__LEVEL": "loud"}) == [
        "config.toml: is not valid TOML: Invalid value (at line 2, column 15)",
        "log.level: must be one of debug, info, warning, error (ADT_GATEWAY_LOG__LEVEL)",
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xff = 1", "is not UTF-8 text (byte 1)"),
        (b"a = " + b"[" * 300 + b"]" * 300, "is nested too deeply"),
        (b"a = " + b"[" * 3000 + b"]" * 3000, "is nested too deeply"),
    ],
)
def test_unreadable_content(content: bytes, line: str, tmp_path: Path) -> None:
    """Content that is no text, or nested without end, is one line."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(path, BASE_VARIABLE)
    assert [str(problem) for problem in caught.value.problems] == [f"{path}: {line}"]


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    """A folder given as the file is one line."""
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(tmp_path, BASE_VARIABLE)


def test_path_with_a_zero_byte(tmp_path: Path) -> None:
    """A path that cannot be one is one line without control characters."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "a\0\nb", BASE_VARIABLE)
    assert str(caught.value).endswith(r"a\x00\nb: cannot be read: the path is not valid")


def test_one_problem_is_one_line(tmp_path: Path) -> None:
    """A key with a line break in its name cannot break the line."""
    assert problems(tmp_path, '"a\\n\\u202eb" = 1') == [
        rf'"a\n\u202eb": is not a known key; known here: {SECTIONS} (config.toml)'
    ]


def test_settings_do_not_change(tmp_path: Path) -> None:
    """Settings are frozen."""
    loaded = settings(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        loaded.listen.port = 1


@pytest.mark.parametrize(("mode", "owns"), [("none", False), ("passthrough", False), ("entra", True)])
def test_owns_token(mode: str, owns: bool, tmp_path: Path) -> None:
    """The gateway holds the token unless the app's own is forwarded or none is sent."""
    assert settings(tmp_path, f"auth.mode = '{mode}'").owns_token is owns
