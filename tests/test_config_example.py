"""`config.example.toml` and the sections are in step, and each key loads from file and environment."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings, load
from gateway.config.example import EXAMPLES, render_example
from gateway.config.keys import CATALOGUE, Key
from tests.support.certificates import CertificateFiles, write_certificates
from tests.support.configuration import BASE, leaves

FILE = Path(__file__).parent.parent / "config.example.toml"
KEYS = list(CATALOGUE.keys.values())
TABLES = {"auth.oauth2.extra": {"audience": "a"}, "auth.inbound.keys": {"alice": "0123456789abcdef"}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


def test_file_is_what_the_sections_give() -> None:
    """The file in the repository is the rendered one; write it with `python -m gateway.config.example`."""
    assert FILE.read_text() == render_example()


def test_example_loads_and_has_the_defaults() -> None:
    """The file loads as it is, and changes nothing but the required key."""
    loaded = load(FILE, {})
    assert loaded == load(None, {"ADT_GATEWAY_UPSTREAM__BASE_URL": loaded.upstream.base_url})


def test_every_key_is_there_with_its_default_and_text() -> None:
    """Uncommented, the file names every key and nothing else, below its docstring."""
    text = FILE.read_text()
    complete = tomllib.loads(re.sub(r"^# (?=[a-z_0-9]+ = )", "", text, flags=re.MULTILINE))
    named = dict(leaves(complete))
    assert named.keys() == {key.name for key in KEYS}
    for key in KEYS:
        unset = key.default is None
        assert named[key.name] == (EXAMPLES[key.name] if unset else key.default), key.name
        comment = "# " if unset and not key.required else ""
        assert f"# {key.doc}\n{comment}{key.path[-1]} = " in text, key.name


def test_examples_are_of_keys_without_a_default() -> None:
    """An example value is there exactly where there is no default."""
    assert EXAMPLES.keys() == {key.name for key in KEYS if key.default is None}


def good_value(key: Key, files: CertificateFiles) -> Any:
    """The key's default or example; paths lead to files that are there."""
    if key.name in TABLES:
        return TABLES[key.name]
    paths = {
        "listen.unix_socket": files.ca.parent / "socket",
        "listen.tls.certificate_file": files.certificate,
        "listen.tls.key_file": files.key,
    }
    if key.name == "auth.inbound.key_files":
        return {"bob": str(files.certificate)}
    if key.schema.get("format") == "path":
        return str(paths.get(key.name, files.ca))
    return EXAMPLES[key.name] if key.default is None else key.default


def company(key: Key, files: CertificateFiles) -> dict[str, str]:
    """Variables that the key needs beside it."""
    if key.name == "fleet.url":
        return {"ADT_GATEWAY_FLEET__EXPECTED_SIZE": "10"}
    if key.path[:2] != ("listen", "tls"):
        return {}
    pair = {"CERTIFICATE_FILE": files.certificate, "KEY_FILE": files.key}
    return {
        f"ADT_GATEWAY_LISTEN__TLS__{name}": str(path)
        for name, path in pair.items()
        if name.lower() != key.path[-1]
    }


def value_of(loaded: Settings, key: Key) -> Any:
    """The key's value, secrets revealed, as JSON has it."""
    value: Any = loaded
    for part in key.path:
        value = getattr(value, part)
    return reveal(value)


def reveal(value: Any) -> Any:
    """Plain JSON types instead of secrets, paths and tuples."""
    match value:
        case dict():
            return {name: reveal(below) for name, below in value.items()}
        case tuple():
            return [reveal(item) for item in value]
        case Path():
            return str(value)
        case _:
            return value.get_secret_value() if hasattr(value, "get_secret_value") else value


@pytest.mark.parametrize("key", [key for key in KEYS if key.kind != "object"], ids=lambda key: key.name)
def test_every_key_loads_from_the_file(key: Key, files: CertificateFiles, tmp_path: Path) -> None:
    """Each key, alone in a file, gets its value."""
    path = tmp_path / "config.toml"
    value = good_value(key, files)
    base = "" if key.required else BASE
    path.write_text(f"{base}{key.name} = {json.dumps(value, ensure_ascii=False)}\n")
    assert value_of(load(path, company(key, files)), key) == value


@pytest.mark.parametrize("key", [key for key in KEYS if key.kind == "object"], ids=lambda key: key.name)
def test_every_table_loads_from_the_file(key: Key, files: CertificateFiles, tmp_path: Path) -> None:
    """Each table of free names gets its entries."""
    path = tmp_path / "config.toml"
    value = good_value(key, files)
    if key.name == "auth.inbound.key_files":
        (tmp_path / "key").write_text("0123456789abcdef")
        value = {"bob": str(tmp_path / "key")}
    lines = (f'{key.name}.{name} = "{below}"' for name, below in value.items())
    path.write_text("\n".join([BASE, *lines]))
    assert value_of(load(path, {}), key) == value


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_loads_from_the_environment(key: Key, files: CertificateFiles, tmp_path: Path) -> None:
    """Each key gets the same value from its variable, tables from JSON or from one variable per entry."""
    value = good_value(key, files)
    if key.name == "auth.inbound.key_files":
        (tmp_path / "key").write_text("0123456789abcdef")
        value = {"bob": str(tmp_path / "key")}
    base = {"ADT_GATEWAY_UPSTREAM__BASE_URL": "https://a.example"} | company(key, files)
    text = value if isinstance(value, str) else json.dumps(value)
    assert value_of(load(None, base | {key.variable: text}), key) == value
    if key.kind == "object":
        entries = {f"{key.variable}__{name.upper()}": below for name, below in value.items()}
        assert value_of(load(None, base | entries), key) == value
