"""Rules of `auth.inbound`: keys that cannot be guessed and belong to one caller, names that can match."""

import re
import socket
from collections.abc import Iterator

from pydantic import SecretStr

from gateway.config.files import read_secret, secret_fault
from gateway.config.identities import key_faults, listed_name
from gateway.config.problem import KeyPath, Problem
from gateway.config.rules.given import Given

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FAMILIES = (
    "accept-", "access-control-", "content-", "if-", "proxy-", "sec-", "x-b3-", "x-datadog-",
    "x-forwarded-", "x-ms-",
)  # fmt: skip
_TAKEN = frozenset({
    "accept", "age", "allow", "authorization", "b3", "baggage", "cache-control", "cache-status",
    "client-request-id", "connection", "cookie", "correlation-context", "date", "elastic-apm-traceparent",
    "etag", "expect", "forwarded", "host", "http2-settings", "keep-alive", "last-modified", "link",
    "location", "max-items-per-page", "operation-id", "operation-location", "origin", "pragma", "prefer",
    "range", "referer", "repr-digest", "request-context", "request-id", "retry-after", "retry-after-ms",
    "sentry-trace", "set-cookie", "te", "traceparent", "traceresponse", "tracestate", "trailer",
    "transfer-encoding", "uber-trace-id", "upgrade", "user-agent", "via", "www-authenticate",
    "x-amzn-trace-id", "x-correlation-id", "x-gateway-active-job", "x-gateway-error-normalised",
    "x-gateway-error-origin", "x-gateway-replayed", "x-request-id",
})  # fmt: skip
"""Fields that the gateway reads, logs, or sends itself, and some that everybody gives a meaning."""


def inbound_keys(given: Given) -> Iterator[Problem]:
    """Every key is long enough, can be sent, and is one caller's alone."""
    inbound = given.settings.auth.inbound
    owners: dict[str, str] = {}
    for path, secret in _keys(given):
        value = secret.get_secret_value()
        for fault in key_faults(value):
            yield given.problem_at(path, fault)
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
    """The key's header is dropped before forwarding and never logged, so it must have no other meaning."""
    header = given.settings.auth.inbound.header.lower()
    if header in _TAKEN or header.startswith(_FAMILIES):
        yield given.problem(
            "auth.inbound.header", f"must have no other meaning, which {header} has; x-gateway-key has none"
        )


def client_names(given: Given) -> Iterator[Problem]:
    """Each name can be in a certificate, and certificates are asked for."""
    names = given.settings.auth.inbound.client_names
    for number, name in enumerate(names, 1):
        if listed_name(name) is None:
            yield given.problem(
                "auth.inbound.client_names",
                f"item {number} must be a DNS name, URI, e-mail address or IP address, without wildcards",
            )
    if names and given.settings.listen.tls.client_ca_file is None:
        yield given.problem("auth.inbound.client_names", "needs listen.tls.client_ca_file")


def peer_uids(given: Given) -> Iterator[Problem]:
    """There is a Unix socket, and a kernel that tells who connects to it."""
    if not given.settings.auth.inbound.peer_uids:
        return
    if given.settings.listen.unix_socket is None:
        yield given.problem("auth.inbound.peer_uids", "needs listen.unix_socket")
    yield from given.fault("auth.inbound.peer_uids", peer_fault(socket))


def peer_fault(sockets: object) -> str | None:
    """Why nobody can tell who connects to a Unix socket of this system's `socket` module, or None."""
    if hasattr(sockets, "SO_PEERCRED"):
        return None
    return "this system does not tell who connects (SO_PEERCRED); Linux does"


def _keys(given: Given) -> Iterator[tuple[KeyPath, SecretStr]]:
    inbound = given.settings.auth.inbound
    for name, secret in inbound.keys.items():
        yield ("auth", "inbound", "keys", name), secret
    for name, path in inbound.key_files.items():
        if secret_fault(path) is None:
            yield ("auth", "inbound", "key_files", name), read_secret(path)
