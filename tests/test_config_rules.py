"""Checks across keys: listeners, upstream, routes and tracing."""

import socket
from pathlib import Path

import pytest

from tests.support.certificates import CertificateFiles, write_certificates
from tests.support.configuration import problems

OPEN_BIND = 'listen.host = "0.0.0.0"\nadmin.port = 1\n'


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('upstream.base_url = "https://a.example/path"', "must have no path"),
        ('upstream.base_url = "https://user:pass@a.example"', "must have no user name or password"),
        ('upstream.base_url = "https://a.example?x"', "must have no query and no fragment"),
        ('upstream.base_url = "https://a.example:99999"', "must have a port from 1 to 65535"),
        ('upstream.base_url = "https://127.1"', "must have a valid host"),
        ('upstream.base_url = "twins"', "must be an absolute http:// or https:// URL"),
    ],
)
def test_base_url(text: str, line: str, tmp_path: Path) -> None:
    """The upstream is an origin, and nothing more."""
    assert problems(tmp_path, text) == [f"upstream.base_url: {line} (config.toml)"]


@pytest.mark.parametrize(
    "text",
    [
        'upstream.base_url = "http://127.0.0.1:8090"',
        'upstream.base_url = "http://localhost:8090/"',
        'upstream.base_url = "http://emulator:8090"\nupstream.allow_plain_http = true',
        'upstream.proxy = "http://user:pass@proxy.example:3128"',
        'listen.unix_socket = "gateway.sock"\nlisten.host = "0.0.0.0"',
        f'{OPEN_BIND}auth.inbound.keys.alice = "0123456789abcdef"',
        'listen.public_base_url = "https://gateway.example"',
        'listen.allowed_hosts = ["gateway.example", "10.0.0.1", "::1"]',
        "listen.port = 0\nadmin.port = 0",
        'listen.port = 9464\nadmin.host = "127.0.0.2"',
        'tracing.endpoint = "http://collector:4318/v1/traces?tenant=a"',
        'tracing.ui_url = "http://127.0.0.1:16686/trace/{trace_id}"',
        'tracing.ui_url = "https://[::1]/?a=%7B%7D&id={trace_id}&again={trace_id}"',
        'tracing.ui_url = "https://traces.example/ui/#/trace/{trace_id}"',
    ],
)
def test_right_configurations(text: str, tmp_path: Path) -> None:
    """What is right has no problem."""
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("", "must contain {trace_id}"),
        ("http://traces.example/{traceId}", "must contain {trace_id}"),
        ("http://traces.example/{{trace_id}}", "must have no braces but those of {trace_id}; %"),
        ("http://traces.example/{trace_id}?q={x}", "must have no braces but those of {trace_id}; %"),
        ("ftp://traces.example/{trace_id}", "must be an absolute http:// or https:// URL"),
        ("javascript:alert('{trace_id}')", "must be an absolute http:// or https:// URL"),
        ("/trace/{trace_id}", "must be an absolute http:// or https:// URL"),
        ("http://traces.example/%{trace_id}", "must be an absolute http:// or https:// URL"),
        ("http://traces.example/<{trace_id}>", "must have '<' percent-encoded (RFC 3986)"),
        ("http://traces.example/é/{trace_id}", "must have 'é' percent-encoded (RFC 3986)"),
        ("http://traces.example/a b/{trace_id}", "must have ' ' percent-encoded (RFC 3986)"),
        ("http://{trace_id}/", "must have a valid host"),
        ("http://{trace_id}.example/", "must have a valid host"),
        ("http://traces.example:{trace_id}/", "must have a valid host and port"),
        ("http://user:pass@traces.example/{trace_id}", "must have no user name or password"),
        ("http://{trace_id}@traces.example/", "must have no user name or password"),
    ],
)
def test_link_to_a_trace(url: str, line: str, tmp_path: Path) -> None:
    """A link to a trace is a URL for a browser that holds no secret, with the id where a URL may have it."""
    told = line.replace("%", "others are written %7B and %7D")
    assert problems(tmp_path, f'tracing.ui_url = "{url}"') == [f"tracing.ui_url: {told} (config.toml)"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("localhost", "::1"), ("Localhost", "localhost")],  # noqa: S104
)
def test_listeners_on_one_port(one: str, other: str, tmp_path: Path) -> None:
    """Two listeners on the same port of hosts that overlap are told before one of them fails to bind."""
    text = f"listen.host = '{one}'\nadmin.host = '{other}'\nlisten.port = 7\nadmin.port = 7"
    assert problems(tmp_path, text) == [
        "admin.port: must differ from listen.port where both listen on the same host (config.toml)"
    ]


@pytest.mark.parametrize("key", ["listen.host", "admin.host"])
@pytest.mark.parametrize("host", ["", "*", "127.0.0.1:8080", "127.1", "a b"])
def test_addresses(key: str, host: str, tmp_path: Path) -> None:
    """A listener's host is an address or a name; an empty one would listen everywhere."""
    assert problems(tmp_path, f"{key} = '{host}'") == [
        f"{key}: must be an IP address, without brackets, or a host name (config.toml)"
    ]


def test_open_bind_with_client_certificates(files: CertificateFiles, tmp_path: Path) -> None:
    """Client certificates say who calls, so that a bind beyond loopback is allowed."""
    tls = f'certificate_file = "{files.certificate}"\nlisten.tls.key_file = "{files.key}"'
    text = f'{OPEN_BIND}listen.tls.{tls}\nlisten.tls.client_ca_file = "{files.ca}"'
    assert problems(tmp_path, text) == []


def test_certificate_and_key(files: CertificateFiles, tmp_path: Path) -> None:
    """Certificate and key are judged each by itself, then together."""
    other = write_certificates(tmp_path)

    def lines(certificate: Path | str, key: Path | str) -> list[str]:
        text = f"listen.tls.certificate_file = '{certificate}'\nlisten.tls.key_file = '{key}'"
        return problems(tmp_path, text)

    missing = "the file cannot be read: No such file or directory (config.toml)"
    assert lines(files.certificate, files.key) == []
    assert lines("/nonexistent", "/nonexistent") == [
        f"listen.tls.certificate_file: {missing}",
        f"listen.tls.key_file: {missing}",
    ]
    assert lines(files.key, files.key) == [
        "listen.tls.certificate_file: the file holds no valid certificate in PEM (config.toml)"
    ]
    assert lines(files.certificate, other.key) == [
        "listen.tls.key_file: the key does not belong to certificate_file (config.toml)"
    ]


def test_client_ca_without_tls(files: CertificateFiles, tmp_path: Path) -> None:
    """A CA for clients without TLS would protect nothing."""
    assert problems(tmp_path, f"listen.tls.client_ca_file = '{files.ca}'") == [
        "listen.tls.client_ca_file: needs certificate_file and key_file as well (config.toml)"
    ]


@pytest.mark.parametrize("key", ["upstream.ca_file", "listen.tls.client_ca_file"])
def test_ca_file_that_is_none(key: str, files: CertificateFiles, tmp_path: Path) -> None:
    """A CA file without a certificate is told at start, not at the first handshake."""
    assert f"{key}: the file holds no valid certificate in PEM (config.toml)" in problems(
        tmp_path, f"{key} = '{files.key}'"
    )


def test_unix_socket_path(tmp_path: Path) -> None:
    """The path fits into a socket address, and is free or that of an earlier socket."""
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "old"))
    told = "listen.unix_socket: {} (config.toml)".format
    for path, line in (
        (tmp_path / "old", []),
        (tmp_path / "new", []),
        (tmp_path / "file", [told("must not be a file that is no socket")]),
        (tmp_path / "file" / "new", [told("must be in a directory that exists")]),
        (tmp_path / ("x" * 108), [told("must be at most 107 bytes long")]),
        (Path("/tmp") / ("ä" * 52), [told("must be at most 107 bytes long")]),
        (Path("/tmp") / ("x" * 102), []),
    ):
        assert problems(tmp_path, f"listen.unix_socket = '{path}'") == line, path


def test_empty_allow_list(tmp_path: Path) -> None:
    """An allow-list that lets nobody in is a mistake."""
    assert problems(tmp_path, "listen.allowed_hosts = []") == [
        "listen.allowed_hosts: must name at least one host; unset it for the default (config.toml)"
    ]


def test_denied_routes_exist(tmp_path: Path) -> None:
    """A template that is not in the route table would deny nothing."""
    templates = frozenset({"/jobs/deletions", "/jobs/imports/{id}"})

    def lines(entry: str, known: frozenset[str] = templates) -> list[str]:
        return problems(tmp_path, f"routes.deny = ['{entry}']", templates=known)

    assert lines("POST /jobs/deletions") == []
    assert lines("POST /anything", frozenset()) == []
    unknown = "routes.deny: item 1 must have a template of the route table"
    assert lines("POST /jobs/deletion") == [f"{unknown}; did you mean /jobs/deletions? (config.toml)"]
    assert lines("GET /zzz") == [f"{unknown} (config.toml)"]
    for entry in (
        "TRACE /jobs/deletions",
        "post /jobs/deletions",
        "POST  /jobs/deletions",
        "/jobs/deletions",
    ):
        assert "must be" in lines(entry)[0], entry


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
PROTOCOL = "must be http/protobuf, the only OTLP protocol that is supported"
SAMPLERS = (
    "must be one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off,"
    " parentbased_traceidratio"
)


@pytest.mark.parametrize(
    ("environ", "lines"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, []),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, []),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": ""}, []),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, [f"OTEL_EXPORTER_OTLP_PROTOCOL: {PROTOCOL}"]),
        (
            ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"},
            [f"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: {PROTOCOL}"],
        ),
        (
            ENDPOINT
            | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            [],
        ),
        (
            {"ADT_GATEWAY_TRACING__ENDPOINT": "http://a:1/v1/traces", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            [f"OTEL_EXPORTER_OTLP_PROTOCOL: {PROTOCOL}"],
        ),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_SDK_DISABLED": "true"}, []),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "none"}, []),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            ["OTEL_EXPORTER_OTLP_ENDPOINT: must be an absolute http:// or https:// URL"],
        ),
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            ["OTEL_TRACES_EXPORTER: must be one or more of otlp, console, none"],
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, []),
        ({"OTEL_TRACES_SAMPLER": "some"}, [f"OTEL_TRACES_SAMPLER: {SAMPLERS}"]),
        ({"OTEL_TRACES_SAMPLER": "some", "OTEL_SDK_DISABLED": "TRUE"}, []),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, []),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "x"}, []),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"},
            ["OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1"],
        ),
    ],
)
def test_opentelemetry_variables(environ: dict[str, str], lines: list[str], tmp_path: Path) -> None:
    """An OTEL_* value that the gateway cannot honour is told by the variable's name, where it is in use."""
    assert problems(tmp_path, environ=environ) == lines
