"""Every key: one value that is wrong, and the exact line that says so."""

from pathlib import Path

import pytest

from gateway.config.keys import CATALOGUE, Key
from tests.support.configuration import problems, settings

FILE = "(config.toml)"
SECONDS = f"must be a number above 0 and up to 86400 {FILE}"
STALENESS = f"must be a number from 0 to 3600 {FILE}"
NO_FILE = f"the file cannot be read: No such file or directory {FILE}"
WAYS_IN = "auth.inbound.keys, auth.inbound.key_files or listen.tls.client_ca_file"
CREDENTIALS = "default, client_secret, certificate, workload_identity, managed_identity, cli"
STORES = (
    "redis://, rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://, unix://"
)
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
OAUTH2 = """
auth.mode = "oauth2"
auth.oauth2.client_id = "gateway"
auth.oauth2.token_url = "https://issuer.example/token"
"""
OAUTH2_WITH_SECRET = OAUTH2 + 'auth.oauth2.client_secret = "0123456789"\n'
MTLS = 'listen.tls.client_ca_file = "/nonexistent/ca.pem"\n'
ENTRA = 'auth.entra.tenant_id = "tenant"\nauth.entra.client_id = "client"\nauth.entra.credential = '

BAD = [
    ("upstream.base_url", 'upstream.base_url = "http://twins.example"',
     f"must be https, or http to loopback or with upstream.allow_plain_http {FILE}"),
    ("upstream.engine", 'upstream.engine = "curl"', f"must be one of pyreqwest, asyncio, httpx {FILE}"),
    ("upstream.allow_plain_http", "upstream.allow_plain_http = 1", f"must be true or false {FILE}"),
    ("upstream.proxy", 'upstream.proxy = "socks5://127.0.0.1:1080"',
     f"must be an absolute http:// or https:// URL {FILE}"),
    ("upstream.ca_file", 'upstream.ca_file = "/nonexistent/ca.pem"', NO_FILE),
    ("upstream.max_connections", "upstream.max_connections = 0",
     f"must be a whole number from 1 to 10000 {FILE}"),
    ("upstream.max_queued", "upstream.max_queued = -1", f"must be a whole number from 0 to 10000 {FILE}"),
    ("upstream.connection_age", "upstream.connection_age = 0", f"must be a number from 1 to 86400 {FILE}"),
    ("upstream.pool_idle", "upstream.pool_idle = 0", SECONDS),
    ("upstream.timeout.connect", "upstream.timeout.connect = -1", SECONDS),
    ("upstream.timeout.pool", 'upstream.timeout.pool = "1s"', SECONDS),
    ("upstream.timeout.first_byte", "upstream.timeout.first_byte = nan", SECONDS),
    ("upstream.timeout.query_first_byte", "upstream.timeout.query_first_byte = inf", SECONDS),
    ("upstream.timeout.head_total", "upstream.timeout.head_total = true", SECONDS),
    ("upstream.timeout.read_idle", "upstream.timeout.read_idle = 1979-05-27", SECONDS),
    ("upstream.circuit.failures", "upstream.circuit.failures = -1",
     f"must be a whole number from 0 to 1000 {FILE}"),
    ("upstream.circuit.share", "upstream.circuit.share = 0",
     f"must be a number above 0 and up to 1 {FILE}"),
    ("upstream.circuit.volume", "upstream.circuit.volume = 0",
     f"must be a whole number from 1 to 1000000 {FILE}"),
    ("upstream.circuit.window", "upstream.circuit.window = 0.5",
     f"must be a number from 1 to 3600 {FILE}"),
    ("upstream.circuit.open_for", "upstream.circuit.open_for = 0",
     f"must be a number from 0.1 to 3600 {FILE}"),
    ("fleet.url", 'fleet.url = "http://valkey.example"\nfleet.expected_size = 2',
     f"must begin with one of {STORES} {FILE}"),
    ("fleet.password_file", 'fleet.password_file = "/nonexistent/password"', NO_FILE),
    ("fleet.ca_file", 'fleet.ca_file = "/nonexistent/ca.pem"', NO_FILE),
    ("fleet.expected_size", "fleet.expected_size = 0", f"must be a whole number from 1 to 100000 {FILE}"),
    ("retry.attempts", "retry.attempts = 0", f"must be a whole number from 1 to 10 {FILE}"),
    ("retry.budget", "retry.budget = 2", f"must be a number from 0 to 1 {FILE}"),
    ("retry.floor", "retry.floor = -1", f"must be a number from 0 to 1000 {FILE}"),
    ("retry.backoff", "retry.backoff = 61", f"must be a number from 0 to 60 {FILE}"),
    ("listen.host", 'listen.host = "0.0.0.0"',
     f"must be loopback unless {WAYS_IN} is set {FILE}"),
    ("listen.port", "listen.port = 65536", f"must be a whole number from 0 to 65535 {FILE}"),
    ("listen.unix_socket", 'listen.unix_socket = "/nonexistent/gateway.sock"',
     f"must be in a directory that exists {FILE}"),
    ("listen.public_base_url", 'listen.public_base_url = "https://gateway.example/?a=b"',
     f"must have no query and no fragment {FILE}"),
    ("listen.allowed_hosts", 'listen.allowed_hosts = ["localhost", "gateway.example:8080"]',
     f"item 2 must be a host name or an IP address, without port or brackets {FILE}"),
    ("listen.tls.certificate_file", 'listen.tls.key_file = "/dev/null"',
     "is required where the other of certificate_file and key_file is set"),
    ("listen.tls.key_file", 'listen.tls.certificate_file = "/dev/null"',
     "is required where the other of certificate_file and key_file is set"),
    ("listen.tls.client_ca_file", 'listen.tls.client_ca_file = "/nonexistent/ca.pem"', NO_FILE),
    ("admin.host", 'admin.host = "[::1]"',
     f"must be an IP address, without brackets, or a host name {FILE}"),
    ("admin.port", "admin.port = 8080",
     f"must differ from listen.port where both listen on the same host {FILE}"),
    ("admin.token", 'admin.token = ""', f"must be text that is not empty {FILE}"),
    ("auth.mode", 'auth.mode = "kerberos"',
     f"must be one of entra, oauth2, file, static, passthrough, none {FILE}"),
    ("auth.scope", 'auth.scope = ""',
     rf"must be text that matches ^[!#-\[\]-~]+( [!#-\[\]-~]+)*$ {FILE}"),
    ("auth.timeout", "auth.timeout = 100000", SECONDS),
    ("auth.entra.credential", 'auth.entra.credential = "password"',
     f"must be one of {CREDENTIALS} {FILE}"),
    ("auth.entra.tenant_id", 'auth.entra.tenant_id = "a/b"',
     f"must be text that matches ^[A-Za-z0-9.-]+$ {FILE}"),
    ("auth.entra.client_id", 'auth.entra.client_id = ""', f"must be text that is not empty {FILE}"),
    ("auth.entra.client_secret", f'{ENTRA}"client_secret"',
     "is required with auth.entra.credential = client_secret; AZURE_CLIENT_SECRET does as well"),
    ("auth.entra.client_secret_file",
     f'{ENTRA}"client_secret"\nauth.entra.client_secret_file = "/nonexistent/secret"', NO_FILE),
    ("auth.entra.certificate_file",
     f'{ENTRA}"certificate"\nauth.entra.certificate_file = "/nonexistent/client.pem"', NO_FILE),
    ("auth.entra.federated_token_file",
     f'{ENTRA}"workload_identity"\nauth.entra.federated_token_file = "/nonexistent/token"', NO_FILE),
    ("auth.entra.authority", 'auth.entra.authority = "http://login.example"',
     f"must be a host name or an https:// URL without a path {FILE}"),
    ("auth.oauth2.token_url", OAUTH2_WITH_SECRET.replace("https", "http"),
     f"must be https, or http to loopback {FILE}"),
    ("auth.oauth2.client_id", OAUTH2_WITH_SECRET.replace('"gateway"', '""'),
     f"must be text that is not empty {FILE}"),
    ("auth.oauth2.client_secret", OAUTH2,
     "is required with auth.mode = oauth2; client_secret_file does as well"),
    ("auth.oauth2.client_secret_file", f'{OAUTH2}auth.oauth2.client_secret_file = "/nonexistent/secret"',
     NO_FILE),
    ("auth.oauth2.authentication", 'auth.oauth2.authentication = "digest"',
     f"must be one of post, basic {FILE}"),
    ("auth.oauth2.ca_file", f'{OAUTH2_WITH_SECRET}auth.oauth2.ca_file = "/nonexistent/ca.pem"', NO_FILE),
    ("auth.oauth2.extra", 'auth.oauth2.extra = "audience"',
     f"must be a table; each value must be text {FILE}"),
    ("auth.file.path", 'auth.mode = "file"\nauth.file.path = "/"',
     f"the path is not that of a regular file {FILE}"),
    ("auth.static.token", 'auth.mode = "static"\nauth.static.token = "two words"',
     f"must be a bearer token: letters, digits and -._~+/, then = {FILE}"),
    ("auth.inbound.keys", "auth.inbound.keys = []",
     f"must be a table; each value must be text that is not empty {FILE}"),
    ("auth.inbound.key_files", "auth.inbound.key_files = 3",
     f"must be a table; each value must be a path {FILE}"),
    ("auth.inbound.header", 'auth.inbound.header = "x key"',
     f"must be text that matches ^[A-Za-z0-9-]+$ {FILE}"),
    ("auth.inbound.client_names", f'{MTLS}auth.inbound.client_names = ["app.example", "*.example"]',
     f"item 2 must be a DNS name, URI, e-mail address or IP address, without wildcards {FILE}"),
    ("auth.inbound.peer_uids", "auth.inbound.peer_uids = [1000]", f"needs listen.unix_socket {FILE}"),
    ("routes.deny", 'routes.deny = ["POST /jobs/deletions", "DELETE"]',
     f'item 2 must be "METHOD /template" with one of {METHODS} {FILE}'),
    ("tracing.endpoint", 'tracing.endpoint = "127.0.0.1:4318"',
     f"must be an absolute http:// or https:// URL {FILE}"),
    ("tracing.sample_ratio", "tracing.sample_ratio = 10", f"must be a number from 0 to 1 {FILE}"),
    ("tracing.trust", 'tracing.trust = "ignore"', f"must be one of continue, restart {FILE}"),
    ("tracing.honour_sampled", 'tracing.honour_sampled = "yes"', f"must be true or false {FILE}"),
    ("tracing.baggage", "tracing.baggage = false", f"must be one of pass, drop {FILE}"),
    ("tracing.ui_url", 'tracing.ui_url = "http://127.0.0.1:16686/trace/"',
     f"must contain {{trace_id}} {FILE}"),
    ("jobs.max_tracked", "jobs.max_tracked = 1.5", f"must be a whole number from 1 to 1000000 {FILE}"),
    ("jobs.store", 'jobs.store = "sqlite://jobs.db"',
     f"must be memory, or sqlite:///path with an absolute path {FILE}"),
    ("jobs.coalesce", 'jobs.coalesce = "on"', f"must be true or false {FILE}"),
    ("jobs.max_staleness", "jobs.max_staleness = -0.1", STALENESS),
    ("jobs.terminal_staleness", "jobs.terminal_staleness = 3601", STALENESS),
    ("jobs.batch", "jobs.batch = 1", f"must be true or false {FILE}"),
    ("jobs.rate", "jobs.rate = 1001", f"must be a number from 0 to 1000 {FILE}"),
    ("jobs.burst", "jobs.burst = 0", f"must be a whole number from 1 to 1000 {FILE}"),
    ("jobs.max_wait", "jobs.max_wait = inf", f"must be a number from 0 to 3600 {FILE}"),
    ("jobs.max_queued", "jobs.max_queued = 100001", f"must be a whole number from 1 to 100000 {FILE}"),
    ("jobs.watch", "jobs.watch = true", f"must be one of seen, all, off {FILE}"),
    ("jobs.span", 'jobs.span = "parent"', f"must be one of child, link {FILE}"),
    ("jobs.writes_once", "jobs.writes_once = 600", f"must be true or false {FILE}"),
    ("jobs.inject_operation_id", 'jobs.inject_operation_id = "no"', f"must be true or false {FILE}"),
    ("limits.head_bytes", "limits.head_bytes = 10", f"must be a whole number from 1024 to 1048576 {FILE}"),
    ("limits.header_count", "limits.header_count = 7", f"must be a whole number from 8 to 10000 {FILE}"),
    ("limits.head_timeout", "limits.head_timeout = 0", SECONDS),
    ("limits.body_idle", "limits.body_idle = []", SECONDS),
    ("limits.slow_reader", 'limits.slow_reader = ""', SECONDS),
    ("limits.request_body", "limits.request_body = 0", f"must be a whole number above 0 {FILE}"),
    ("limits.replay_body", "limits.replay_body = -1", f"must be a whole number from 0 to 1048576 {FILE}"),
    ("limits.observed_body", "limits.observed_body = 0",
     f"must be a whole number from 1024 to 16777216 {FILE}"),
    ("limits.keep_alive", "limits.keep_alive = {}", SECONDS),
    ("limits.connections", "limits.connections = 0", f"must be a whole number from 1 to 100000 {FILE}"),
    ("limits.drain_delay", "limits.drain_delay = 301", f"must be a number from 0 to 300 {FILE}"),
    ("limits.drain_timeout", "limits.drain_timeout = 5",
     f"must be greater than limits.drain_delay, which it includes {FILE}"),
    ("metrics.extra_error_codes", 'metrics.extra_error_codes = ["Good", "not good"]',
     f"item 2 must be text that matches ^[A-Za-z0-9_.-]{{1,64}}$ {FILE}"),
    ("metrics.job_series", "metrics.job_series = -1", f"must be a whole number from 0 to 1000 {FILE}"),
    ("log.level", 'log.level = "trace"', f"must be one of debug, info, warning, error {FILE}"),
    ("log.format", 'log.format = "logfmt"', f"must be one of json, console {FILE}"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "text", "line"), BAD, ids=[key for key, _, _ in BAD])
def test_bad_value_has_one_exact_line(key: str, text: str, line: str, tmp_path: Path) -> None:
    """A wrong value is told in one line: the key, what is allowed, and where the value came from."""
    assert f"{key}: {line}" in problems(tmp_path, text)


def test_every_key_has_a_bad_value() -> None:
    """No key is without its bad value above, and no bad value is of a key that is gone."""
    assert {key for key, _, _ in BAD} == {key.name for key in CATALOGUE.keys.values()}


@pytest.mark.parametrize("key", list(CATALOGUE.keys.values()), ids=lambda key: key.name)
def test_bad_value_in_the_environment_names_the_variable(key: Key, tmp_path: Path) -> None:
    """A value from the environment that the key's type refuses is told with the variable's name."""
    bad = {"string": "\udcff", "array": "[", "object": "["}.get(key.kind, "bad")
    (line,) = problems(tmp_path, environ={key.variable: bad})
    assert line.startswith(f"{key.name}: must be ")
    assert line.endswith(f" ({key.variable})")


def test_a_key_describes_itself() -> None:
    """The catalogue gives name, variable, kind, default and text of a key."""
    key = CATALOGUE.keys["auth", "oauth2", "token_url"]
    assert key.name == "auth.oauth2.token_url"
    assert key.variable == "ADT_GATEWAY_AUTH__OAUTH2__TOKEN_URL"
    assert (key.kind, key.default, key.required, key.secret) == ("string", None, False, False)
    assert key.doc == "Token endpoint; https, or http to loopback."


def test_secret_keys_are_known() -> None:
    """The catalogue marks exactly the keys whose type is a secret."""
    assert {key.name for key in CATALOGUE.keys.values() if key.secret} == {
        "admin.token",
        "auth.entra.client_secret",
        "auth.inbound.keys",
        "auth.oauth2.client_secret",
        "auth.static.token",
        "fleet.url",
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("listen.prot", "listen.port"),
        ("upstrem", "upstream"),
        ("tracing.sampel_ratio", "tracing.sample_ratio"),
        ("base_url", "upstream.base_url"),
        ("listen.base_url", "listen.public_base_url"),
        ("upstream.client_id", "auth.entra.client_id"),
        ("zzzzzz", None),
    ],
)
def test_nearest_name(written: str, meant: str | None) -> None:
    """A mistyped key is led to the sibling, the section or the key elsewhere that was probably meant."""
    assert CATALOGUE.nearest(tuple(written.split("."))) == meant


def test_catalogue_matches_settings(tmp_path: Path) -> None:
    """Each key's default in the catalogue is the one that the settings have."""
    loaded = settings(tmp_path)
    dumped = loaded.model_dump(mode="json")
    for key in CATALOGUE.keys.values():
        value = dumped
        for part in key.path:
            value = value[part]
        assert key.required or value == key.default, key.name
