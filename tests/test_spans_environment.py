"""The standard `OTEL_*` variables mean what they say, and a key of `tracing` wins over them."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config import Tracing
from gateway.spans import Spans, TracingConfigError
from gateway.spans.environment import batch_options, exporters
from gateway.spans.export import BatchOptions
from tests.support.certificates import write_certificates
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.tracing import an_exchange, spans_to, tell

NOWHERE = "http://127.0.0.1:9/v1/traces"


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


async def export_one(spans: Spans) -> None:
    tell(spans, an_exchange(), 200)
    await spans.shutdown(10)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{base}"}, "/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{base}/otlp/"}, "/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{base}/mine"}, "/mine"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{base}/mine", "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE},
            "/mine",
        ),
    ],
)
async def test_the_endpoint_variables_name_a_base_or_the_whole_url(
    receiver: OtlpReceiver, environ: dict[str, str], path: str
) -> None:
    """The general endpoint gets `/v1/traces` appended, the one for traces is taken as it is."""
    base = receiver.url.removesuffix("/v1/traces")
    await export_one(
        spans_to(None, environ={name: value.format(base=base) for name, value in environ.items()})
    )
    assert [request.path for request in receiver.requests] == [path]


async def test_tracing_endpoint_wins_over_the_environment(receiver: OtlpReceiver) -> None:
    """The configuration's own key decides where spans go."""
    await export_one(spans_to(receiver.url, environ={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": NOWHERE}))
    assert len(receiver.spans) == 2


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_headers_and_compression_are_those_of_the_environment(
    receiver: OtlpReceiver, encoding: str
) -> None:
    """A collector behind a key gets it, percent-decoded, and the body compressed as asked."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20key,x-scope=a",
        "OTEL_EXPORTER_OTLP_COMPRESSION": encoding,
    }
    await export_one(spans_to(receiver.url, environ=environ))
    [request] = receiver.requests
    assert (request.headers["authorization"], request.headers["x-scope"]) == ("Bearer key", "a")
    assert request.headers["content-encoding"] == encoding
    assert len(receiver.spans) == 2


async def test_the_collectors_certificate_is_checked_with_the_given_ca(tmp_path: Path) -> None:
    """`OTEL_EXPORTER_OTLP_CERTIFICATE` is trusted; without it a private CA is not."""
    files = write_certificates(tmp_path, "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.key)
    async with otlp_receiver(tls=tls) as receiver:
        untrusting = spans_to(receiver.url, environ={"OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"})
        await export_one(untrusting)
        assert (len(receiver.spans), untrusting.export_failures) == (0, 1)
        await export_one(spans_to(receiver.url, environ={"OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.ca)}))
        assert len(receiver.spans) == 2


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "adt-gateway"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs"}, "theirs"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs", "OTEL_SERVICE_NAME": "mine"}, "mine"),
    ],
)
async def test_the_service_name_is_ours_unless_the_environment_says_otherwise(
    receiver: OtlpReceiver, environ: dict[str, str], name: str
) -> None:
    """`OTEL_SERVICE_NAME` beats `OTEL_RESOURCE_ATTRIBUTES`, which beats the default."""
    await export_one(spans_to(receiver.url, environ=environ))
    assert {span.resource["service.name"] for span in receiver.spans} == {name}


async def test_resource_attributes_are_decoded_and_win_over_ours(receiver: OtlpReceiver) -> None:
    """Pairs are percent-decoded; what is no pair is ignored."""
    pairs = "deployment.environment.name=a%20b, service.instance.id=pod-1,nonsense,=x"
    await export_one(spans_to(receiver.url, environ={"OTEL_RESOURCE_ATTRIBUTES": pairs}))
    resource = receiver.spans[0].resource
    assert (resource["deployment.environment.name"], resource["service.instance.id"]) == ("a b", "pod-1")
    assert resource["service.version"] == "1.2.3"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not supported; use http/protobuf (port 4318)",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            },
            "OTEL_EXPORTER_OTLP_PROTOCOL: http/json is not supported; use http/protobuf (port 4318)",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "otlp,zipkin"},
            "OTEL_TRACES_EXPORTER: zipkin is not one of otlp, console, none",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[::1/v1/traces"},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: not an http:// or https:// URL",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT: not an http:// or https:// URL",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE, "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE: no such file: /nowhere/ca.pem",
        ),
    ],
)
def test_what_is_not_supported_is_said_clearly(environ: dict[str, str], message: str) -> None:
    """An impossible wish is an error that names the variable and the way out."""
    with pytest.raises(TracingConfigError) as raised:
        spans_to(None, environ=environ)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "  "},
    ],
)
def test_nowhere_to_send_to_means_off_without_a_word(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """No endpoint, exporter `none` or a disabled SDK switch tracing off silently."""
    assert not spans_to(None, environ=environ).on
    assert caplog.records == []


async def test_the_console_exporter_writes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """`OTEL_TRACES_EXPORTER=console` needs no endpoint."""
    await export_one(spans_to(None, environ={"OTEL_TRACES_EXPORTER": "console"}))
    assert '"name": "GET /jobs/imports/{id}"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({}, BatchOptions(queue=2_048, batch=512, delay=5_000)),
        (
            {
                "OTEL_BSP_MAX_QUEUE_SIZE": "100",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
                "OTEL_BSP_SCHEDULE_DELAY": "200",
            },
            BatchOptions(queue=100, batch=10, delay=200),
        ),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "10"}, BatchOptions(queue=10, batch=10, delay=5_000)),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0", "OTEL_BSP_SCHEDULE_DELAY": "-1"}, BatchOptions(2_048, 512, 5_000)),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "many"}, BatchOptions(2_048, 512, 5_000)),
    ],
)
def test_batches_follow_the_variables(environ: dict[str, str], options: BatchOptions) -> None:
    """Queue, batch and delay are read; a value that makes no sense gives the default."""
    assert batch_options(environ) == options


async def test_the_delay_alone_sends_a_batch(receiver: OtlpReceiver) -> None:
    """Spans do not wait for a full batch."""
    spans = spans_to(receiver.url, environ={"OTEL_BSP_SCHEDULE_DELAY": "10"})
    tell(spans, an_exchange(), 200)
    await receiver.wait_for(2)
    await spans.shutdown(10)


@pytest.mark.parametrize("value", ["soon", "0", "nan"])
def test_a_nonsense_timeout_or_compression_is_ignored_with_a_warning(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Tracing goes on with the defaults, and the log names the variables."""
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": value, "OTEL_EXPORTER_OTLP_COMPRESSION": value}
    [exporter] = exporters(Tracing(endpoint=NOWHERE), environ)
    exporter.shutdown()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
    ]
