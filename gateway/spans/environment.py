"""The standard `OTEL_*` variables, which a provider built in code does not read by itself.

A key of `tracing` that is set wins over them.
Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

import logging
import sys
import uuid
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter

from gateway.config import Tracing
from gateway.spans.export import BatchOptions

_log = logging.getLogger("gateway.spans")

_EXPORTERS = frozenset({"otlp", "console", "none"})


class TracingConfigError(ValueError):
    """An `OTEL_*` variable asks for something that cannot be done; the message names it."""


def disabled(environ: Mapping[str, str]) -> bool:
    """Whether `OTEL_SDK_DISABLED` switches tracing off."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def exporters(settings: Tracing, environ: Mapping[str, str]) -> list[SpanExporter]:
    """The exporters of `OTEL_TRACES_EXPORTER`; none where there is nowhere to send to.

    Raises TracingConfigError for an exporter or a protocol that does not exist here.
    """
    if disabled(environ):
        return []
    listed = environ.get("OTEL_TRACES_EXPORTER", "").lower().split(",")
    kinds = {kind.strip() for kind in listed if kind.strip()} or {"otlp"}
    if unknown := kinds - _EXPORTERS:
        raise TracingConfigError(
            f"OTEL_TRACES_EXPORTER: {', '.join(sorted(unknown))} is not one of otlp, console, none"
        )
    made: list[SpanExporter] = []
    if "none" in kinds:
        return made
    if "console" in kinds:
        made.append(ConsoleSpanExporter(out=sys.stdout))
    if "otlp" in kinds and (otlp := _otlp(settings, environ)) is not None:
        made.append(otlp)
    return made


def signal(environ: Mapping[str, str], name: str) -> str:
    """A variable for traces, else the one for all signals."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def _otlp(settings: Tracing, environ: Mapping[str, str]) -> SpanExporter | None:
    protocol = signal(environ, "PROTOCOL")
    if protocol not in {"", "http/protobuf"}:
        raise TracingConfigError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol} is not supported; use http/protobuf (port 4318)"
        )
    endpoint = settings.endpoint or _endpoint(environ)
    if endpoint is None:
        return None
    # A third of a second of imports, which a gateway without tracing must not wait for.
    from gateway.spans import otlp  # noqa: PLC0415

    return otlp.exporter(endpoint, environ)


def _endpoint(environ: Mapping[str, str]) -> str | None:
    name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    endpoint = environ.get(name, "").strip()
    if not endpoint:
        name = "OTEL_EXPORTER_OTLP_ENDPOINT"
        base = environ.get(name, "").strip()
        if not base:
            return None
        endpoint = f"{base.removesuffix('/')}/v1/traces"
    if not _is_url(endpoint):
        raise TracingConfigError(f"{name}: not an http:// or https:// URL")
    return endpoint


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def batch_options(environ: Mapping[str, str]) -> BatchOptions:
    """The `OTEL_BSP_*` settings; a value that makes no sense is ignored with a warning."""
    queue = int(number(environ, "OTEL_BSP_MAX_QUEUE_SIZE", 2_048))
    batch = int(number(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512))
    delay = int(number(environ, "OTEL_BSP_SCHEDULE_DELAY", 5_000))
    return BatchOptions(queue, min(batch, queue), delay)


def number(environ: Mapping[str, str], name: str, default: float) -> float:
    """A whole number above 0; anything else gives the default, with a warning."""
    value = environ.get(name, "").strip()
    if not value:
        return default
    if value.isdecimal() and int(value) > 0:
        return int(value)
    _log.warning("%s: %s is not a whole number above 0; %g is used", name, value, default)
    return default


def resource(environ: Mapping[str, str], version: str) -> Resource:
    """Who sends the spans; the environment's attributes win over ours."""
    attributes = {
        "service.name": "adt-gateway",
        "service.version": version,
        "service.instance.id": str(uuid.uuid4()),
    }
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            attributes[key.strip()] = unquote(value.strip())
    if name := environ.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = name
    return Resource.create(attributes)
