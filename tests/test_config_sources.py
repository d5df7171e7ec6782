"""The environment: which names are ours, and how text becomes a value."""

from pathlib import Path

import pytest

from tests.support.configuration import BASE, problems, settings


@pytest.mark.parametrize(
    "name",
    [
        "ADT_GATEWAY_PORT",
        "ADT_GATEWAY_PORT_8080_TCP_ADDR",
        "ADT_GATEWAY_SERVICE_HOST",
        "ADT_GATEWAY__X_PORT",
        "adt_gateway_listen__port",
        "OTHER__THING",
    ],
)
def test_foreign_variables_are_ignored(name: str, tmp_path: Path) -> None:
    """Names without `__` after the prefix, as Kubernetes injects them, are not ours."""
    assert settings(tmp_path, environ={name: "tcp://10.0.0.1:8080"}) == settings(tmp_path)


@pytest.mark.parametrize("name", ["ADT_GATEWAY_LISTEN__", "ADT_GATEWAY_LISTEN__PORT__X", "ADT_GATEWAY_A__B"])
def test_unknown_variables_are_mistakes(name: str, tmp_path: Path) -> None:
    """A name of our form that is no key is told, even with an empty value."""
    (line,) = problems(tmp_path, environ={name: ""})
    assert "is not a known key" in line
    assert line.endswith(f" ({name})")


@pytest.mark.parametrize(
    "name", ["LISTEN__PORT", "LISTEN__TLS", "ROUTES__DENY", "AUTH__INBOUND__KEYS__ALICE"]
)
def test_empty_value_counts_as_unset(name: str, tmp_path: Path) -> None:
    """An empty variable leaves the file's value as it is."""
    text = "listen.port = 1\nroutes.deny = ['GET /query']"
    assert settings(tmp_path, text, {f"ADT_GATEWAY_{name}": ""}) == settings(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("POST /jobs/deletions", ("POST /jobs/deletions",)),
        (" POST /a , DELETE /b ,", ("POST /a", "DELETE /b")),
        ('["POST /a", "DELETE /b"]', ("POST /a", "DELETE /b")),
        ("[]", ()),
    ],
)
def test_lists(text: str, value: tuple[str, ...], tmp_path: Path) -> None:
    """A list is comma separated or a JSON array."""
    assert settings(tmp_path, environ={"ADT_GATEWAY_ROUTES__DENY": text}).routes.deny == value


def test_table_as_json(tmp_path: Path) -> None:
    """A table is a JSON object, merged over the file's entries."""
    loaded = settings(
        tmp_path,
        "auth.oauth2.extra = { audience = 'file', resource = 'file' }",
        {"ADT_GATEWAY_AUTH__OAUTH2__EXTRA": '{"audience": "variable"}'},
    )
    assert loaded.auth.oauth2.extra == {"audience": "variable", "resource": "file"}


def test_table_by_entries(tmp_path: Path) -> None:
    """One variable sets one entry, wins over the JSON object, and is named in lower case."""
    loaded = settings(
        tmp_path,
        environ={
            "ADT_GATEWAY_AUTH__OAUTH2__EXTRA__AUDIENCE": "entry",
            "ADT_GATEWAY_AUTH__OAUTH2__EXTRA": '{"audience": "object", "a__b": "1"}',
            "ADT_GATEWAY_AUTH__OAUTH2__EXTRA__RESOURCE": "entry",
        },
    )
    assert loaded.auth.oauth2.extra == {"audience": "entry", "resource": "entry", "a__b": "1"}


def test_section_as_json(tmp_path: Path) -> None:
    """A nested section can be one JSON object; its mistakes name the variable."""
    variable = "ADT_GATEWAY_UPSTREAM__TIMEOUT"
    assert settings(tmp_path, environ={variable: '{"connect": 2}'}).upstream.timeout.connect == 2.0
    assert problems(tmp_path, environ={variable: '{"conect": 2}'}) == [
        f"upstream.timeout.conect: is not a known key; did you mean upstream.timeout.connect? ({variable})"
    ]


@pytest.mark.parametrize("text", ["[]", "3", "{", "x", '{"a": "\\ud800"}', "[" * 100_000])
def test_bad_json_for_a_table(text: str, tmp_path: Path) -> None:
    """Text that is no JSON object is told with both forms that are allowed."""
    variable = "ADT_GATEWAY_AUTH__OAUTH2__EXTRA"
    assert problems(tmp_path, environ={variable: text}) == [
        f"auth.oauth2.extra: must be a JSON object, or one variable per entry ({variable})"
    ]


@pytest.mark.parametrize("text", ["[", '["a", ]', '["\\ud800"]'])
def test_bad_json_for_a_list(text: str, tmp_path: Path) -> None:
    """Text that begins like a JSON array has to be one."""
    assert problems(tmp_path, environ={"ADT_GATEWAY_ROUTES__DENY": text}) == [
        "routes.deny: must be a comma-separated list or a JSON array (ADT_GATEWAY_ROUTES__DENY)"
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("ON", True), ("1", True), ("False", False), ("no", False), ("0", False)],
)
def test_booleans(text: str, value: bool, tmp_path: Path) -> None:
    """The usual words for true and false are read, in any case."""
    loaded = settings(tmp_path, environ={"ADT_GATEWAY_TRACING__HONOUR_SAMPLED": text})
    assert loaded.tracing.honour_sampled is value


def test_text_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    """A secret of digits is text, as its key is."""
    token = settings(tmp_path, environ={"ADT_GATEWAY_ADMIN__TOKEN": "0123"}).admin.token
    assert token is not None
    assert token.get_secret_value() == "0123"


def test_source_of_one_entry(tmp_path: Path) -> None:
    """Of a table set in two places, each wrong entry names the place it came from."""
    assert problems(
        tmp_path,
        BASE + "auth.inbound.keys = { alice = 'short' }",
        {"ADT_GATEWAY_AUTH__INBOUND__KEYS__BOB": "brief"},
    ) == [
        "auth.inbound.keys.alice: must be at least 16 characters long (config.toml)",
        "auth.inbound.keys.bob: must be at least 16 characters long (ADT_GATEWAY_AUTH__INBOUND__KEYS__BOB)",
    ]
