"""Rules of `auth.inbound`: keys that cannot be guessed, each belonging to one caller."""

import re
from collections.abc import Iterator

from pydantic import SecretStr

from gateway.config.files import read_secret, secret_fault
from gateway.config.problem import KeyPath, Problem
from gateway.config.rules.given import Given

_SHORTEST_KEY = 16
_KEY = re.compile(r"[!-~]+")
"""What passes in a header unchanged."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OTHER_MEANING = frozenset(
    {"authorization", "connection", "content-length", "host", "te", "traceparent", "transfer-encoding"}
)


def inbound_keys(given: Given) -> Iterator[Problem]:
    """Every key is long enough, can be sent, and is one caller's alone."""
    inbound = given.settings.auth.inbound
    owners: dict[str, str] = {}
    for path, secret in _keys(given):
        value = secret.get_secret_value()
        if len(value) < _SHORTEST_KEY:
            yield given.problem_at(path, f"must be at least {_SHORTEST_KEY} characters long")
        if not _KEY.fullmatch(value):
            yield given.problem_at(path, "must be printable ASCII without spaces")
        if (owner := owners.setdefault(value, path[-1])) != path[-1]:
            yield given.problem_at(path, f"must differ from the key of {owner}")
    for name in sorted(inbound.keys.keys() & inbound.key_files.keys()):
        yield given.problem_at(("auth", "inbound", "key_files", name), "must not be in auth.inbound.keys too")


def inbound_key_files(given: Given) -> Iterator[Problem]:
    """Every key file can be read."""
    for name, path in given.settings.auth.inbound.key_files.items():
        if fault := secret_fault(path):
            yield given.problem_at(("auth", "inbound", "key_files", name), fault)


def inbound_names(given: Given) -> Iterator[Problem]:
    """Caller names fit into a log line."""
    inbound = given.settings.auth.inbound
    for table, names in (("keys", inbound.keys), ("key_files", inbound.key_files)):
        for name in names:
            if not _NAME.fullmatch(name):
                yield given.problem_at(
                    ("auth", "inbound", table, name),
                    "the caller's name must be 1 to 64 letters, digits, '.', '_' or '-'",
                )


def inbound_header(given: Given) -> Iterator[Problem]:
    """The key's header is dropped before forwarding, so it must have no other meaning."""
    if given.settings.auth.inbound.header.lower() in _OTHER_MEANING:
        yield given.problem("auth.inbound.header", f"must be none of {', '.join(sorted(_OTHER_MEANING))}")


def _keys(given: Given) -> Iterator[tuple[KeyPath, SecretStr]]:
    inbound = given.settings.auth.inbound
    for name, secret in inbound.keys.items():
        yield ("auth", "inbound", "keys", name), secret
    for name, path in inbound.key_files.items():
        if secret_fault(path) is None:
            yield ("auth", "inbound", "key_files", name), read_secret(path)
