"""Checks that look at more than one key, or beyond the configuration; all of them run.

Each rule names the keys it reads. Where one of these is wrong by itself already, the rule is left out, since
it would look at a default that nobody chose.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.config.problem import Problem
from gateway.config.rules import auth, entra, fleet, inbound, jobs, limits, listen, tracing, upstream
from gateway.config.rules.given import Given

__all__ = ["RULES", "Given", "Rule", "check"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check and the names of the keys and sections it reads."""

    check: Callable[[Given], Iterator[Problem]]
    reads: tuple[str, ...]


RULES = (
    Rule(upstream.base_url, ("upstream.base_url", "upstream.allow_plain_http")),
    Rule(upstream.proxy, ("upstream.proxy",)),
    Rule(upstream.ca_file, ("upstream.ca_file",)),
    Rule(limits.drain, ("limits.drain_delay", "limits.drain_timeout")),
    Rule(jobs.store, ("jobs.store",)),
    Rule(fleet.url, ("fleet.url",)),
    Rule(fleet.expected_size, ("fleet.url", "fleet.expected_size")),
    Rule(fleet.password, ("fleet.url", "fleet.password_file")),
    Rule(fleet.ca_file, ("fleet.ca_file",)),
    Rule(listen.listen_host, ("listen.host",)),
    Rule(listen.exposure, ("listen.host", "listen.unix_socket", "listen.tls", "auth.inbound")),
    Rule(listen.unix_socket, ("listen.unix_socket",)),
    Rule(listen.public_base_url, ("listen.public_base_url",)),
    Rule(listen.allowed_hosts, ("listen.allowed_hosts",)),
    Rule(listen.certificate, ("listen.tls.certificate_file", "listen.tls.key_file")),
    Rule(listen.client_ca, ("listen.tls",)),
    Rule(listen.admin_host, ("admin.host",)),
    Rule(listen.ports, ("listen.host", "listen.port", "listen.unix_socket", "admin.host", "admin.port")),
    Rule(auth.token_url, ("auth.mode", "auth.oauth2.token_url")),
    Rule(auth.client_id, ("auth.mode", "auth.oauth2.client_id")),
    Rule(auth.client_secret, ("auth.mode", "auth.oauth2.client_secret", "auth.oauth2.client_secret_file")),
    Rule(auth.oauth2_ca_file, ("auth.mode", "auth.oauth2.ca_file")),
    Rule(auth.extra, ("auth.oauth2.extra",)),
    Rule(auth.token_file, ("auth.mode", "auth.file.path")),
    Rule(auth.static_token, ("auth.mode", "auth.static.token")),
    Rule(entra.tenant_id, ("auth.mode", "auth.entra.credential", "auth.entra.tenant_id")),
    Rule(entra.client_id, ("auth.mode", "auth.entra.credential", "auth.entra.client_id")),
    Rule(
        entra.client_secret,
        (
            "auth.mode",
            "auth.entra.credential",
            "auth.entra.client_secret",
            "auth.entra.client_secret_file",
        ),
    ),
    Rule(entra.certificate_file, ("auth.mode", "auth.entra.credential", "auth.entra.certificate_file")),
    Rule(
        entra.federated_token_file,
        ("auth.mode", "auth.entra.credential", "auth.entra.federated_token_file"),
    ),
    Rule(entra.authority, ("auth.mode", "auth.entra.authority")),
    Rule(inbound.inbound_keys, ("auth.inbound.keys", "auth.inbound.key_files")),
    Rule(inbound.inbound_key_files, ("auth.inbound.key_files",)),
    Rule(inbound.inbound_names, ("auth.inbound.keys", "auth.inbound.key_files")),
    Rule(inbound.inbound_header, ("auth.inbound.header",)),
    Rule(inbound.client_names, ("auth.inbound.client_names", "listen.tls.client_ca_file")),
    Rule(inbound.peer_uids, ("auth.inbound.peer_uids", "listen.unix_socket")),
    Rule(upstream.deny, ("routes.deny",)),
    Rule(tracing.endpoint, ("tracing.endpoint",)),
    Rule(tracing.protocol, ("tracing.endpoint",)),
    Rule(tracing.sampler, ()),
    Rule(tracing.exporter, ()),
    Rule(tracing.ui_url, ("tracing.ui_url",)),
)


def check(given: Given, spoiled: Iterable[str]) -> Iterator[Problem]:
    """The problems of every rule that reads none of the spoiled keys."""
    known = tuple(spoiled)
    for rule in RULES:
        if not any(_touches(read, key) for read in rule.reads for key in known):
            yield from rule.check(given)


def _touches(read: str, key: str) -> bool:
    """Whether one of the two is the other or lies within it."""
    return f"{read}.".startswith(f"{key}.") or f"{key}.".startswith(f"{read}.")
