"""The OTLP/HTTP exporter with the `OTEL_EXPORTER_OTLP_*` settings; imported only where it is used.

`OTEL_EXPORTER_OTLP_TIMEOUT` is in seconds, as in the SDK. Source:
https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.util.re import parse_env_headers

from gateway.spans.encoding import encode
from gateway.spans.environment import TracingConfigError, number, signal
from gateway.spans.lean import LeanSpan

_log = logging.getLogger("gateway.spans")

EXPORT_TIMEOUT = 5.0
"""Seconds for one export with its retries, unless the environment says otherwise."""
LONGEST_EXPORT_TIMEOUT = 30.0
"""Seconds; a larger value is most likely meant in milliseconds."""


class EncodedSpanExporter(OTLPSpanExporter):
    """The SDK's exporter, which sends and tries again, with our encoder in place of its own."""

    reads_lean = True

    def export(self, spans: Sequence[ReadableSpan | LeanSpan]) -> SpanExportResult:
        """Send one batch; without the SDK's limit of 64 MiB, which 512 spans of bounded text cannot reach."""
        if self._shutdown:
            return SpanExportResult.FAILURE
        sent = self._client.export(encode(spans))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def exporter(endpoint: str, environ: Mapping[str, str]) -> EncodedSpanExporter:
    """An exporter to a full traces URL; raises TracingConfigError where a named file is missing."""
    return EncodedSpanExporter(
        endpoint=endpoint,
        certificate_file=_file(environ, "CERTIFICATE"),
        client_certificate_file=_file(environ, "CLIENT_CERTIFICATE"),
        client_key_file=_file(environ, "CLIENT_KEY"),
        headers=parse_env_headers(signal(environ, "HEADERS"), liberal=True),
        timeout=_export_timeout(environ),
        compression=_compression(environ),
        session=_session(),
    )


def _session() -> requests.Session:
    """The exporter's engine without the process's proxies, `.netrc` and CA bundle.

    requests lets `REQUESTS_CA_BUNDLE` win over a session's own CA (psf/requests issue 3829), which would
    silently undo `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    """
    session = requests.Session()
    session.trust_env = False
    return session


def _file(environ: Mapping[str, str], name: str) -> str | None:
    path = signal(environ, name)
    if path and not Path(path).is_file():
        raise TracingConfigError(f"OTEL_EXPORTER_OTLP_{name}: no such file: {path}")
    return path or None


def _compression(environ: Mapping[str, str]) -> Compression:
    value = signal(environ, "COMPRESSION").lower() or "none"
    try:
        return Compression(value)
    except ValueError:
        _log.warning("OTEL_EXPORTER_OTLP_COMPRESSION: %s is not one of none, gzip, deflate; ignored", value)
        return Compression.NoCompression


def _export_timeout(environ: Mapping[str, str]) -> float:
    # The SDK reads OTEL_BSP_EXPORT_TIMEOUT and then ignores it, so the shorter of the two binds here.
    batch = number(environ, "OTEL_BSP_EXPORT_TIMEOUT", LONGEST_EXPORT_TIMEOUT * 1_000) / 1_000
    own = signal(environ, "TIMEOUT")
    try:
        timeout = float(own) if own else EXPORT_TIMEOUT
    except ValueError:
        timeout = -1.0
    if not timeout > 0:
        _log.warning("OTEL_EXPORTER_OTLP_TIMEOUT: %s is not a number of seconds; ignored", own)
        timeout = EXPORT_TIMEOUT
    return min(timeout, batch, LONGEST_EXPORT_TIMEOUT)
