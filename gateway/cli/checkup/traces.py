"""An export without any span: what spans would meet, and nothing to be stored.

The exporter is the gateway's own, with all its settings. An empty `ExportTraceServiceRequest` is no byte at
all, and a collector answers it like any other.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Final, Protocol

from gateway import online
from gateway.access_log.redaction import redact
from gateway.config import Tracing
from gateway.config.origin import parse_url
from gateway.online import Finding
from gateway.online.network import in_background
from gateway.spans import environment

_LONGEST: Final = 10.0
"""Seconds for one export with its retries; by default the exporter gives up after five."""
_LARGEST: Final = 4_096
"""Characters of what the library logs, which may repeat a collector."""
_LIBRARY: Final = "opentelemetry"


class Exporter(Protocol):
    """What this command needs of the SDK's exporters."""

    def export(self, spans: tuple[()]) -> Enum:
        """Send these spans; the result's name is SUCCESS or FAILURE."""

    def shutdown(self) -> object:
        """Give up what is under way."""


def open_exporters(settings: Tracing, environ: Mapping[str, str]) -> Sequence[Exporter]:
    """As `serve` has them. Raises TracingConfigError where it would be refused."""
    return environment.exporters(settings, environ)


async def export_nothing(
    exporters: Sequence[Exporter], settings: Tracing, environ: Mapping[str, str]
) -> Finding:
    """Whether spans would be taken; that they are not is no failure, since requests do without."""
    if not exporters:
        return online.skipped("tracing is off: no endpoint is set")
    where = _collector(settings, environ)
    findings = [await _export(exporter, where) for exporter in exporters]
    return next((each for each in findings if each.outcome is not online.Outcome.OK), findings[0])


async def _export(exporter: Exporter, where: str) -> Finding:
    with _overheard() as said:
        try:
            async with asyncio.timeout(_LONGEST):
                taken = (await in_background(lambda: exporter.export(()))).name == "SUCCESS"
        except TimeoutError:
            said.insert(0, f"no answer within {_LONGEST:g} s")
            taken = False
        finally:
            exporter.shutdown()
    if taken:
        return online.ok(f"{where} takes spans")
    return online.warned(
        f"{where} does not take spans: {said[0] if said else 'the export failed'}",
        advice="Requests are not affected, but spans are lost. Check tracing.endpoint (the full URL,"
        " …/v1/traces, port 4318 as a rule) and the OTEL_EXPORTER_OTLP_* variables.",
    )


def _collector(settings: Tracing, environ: Mapping[str, str]) -> str:
    """Where spans go, without path and query: they may hold a key."""
    try:
        url = settings.endpoint or environment.signal(environ, "ENDPOINT")
        return parse_url(url, query=True, userinfo=True).text
    except ValueError:
        return "the exporter"


def _worded(record: logging.LogRecord) -> str:
    """What a record says, bounded; of an exception its class."""
    text, args = str(record.msg), record.args
    if not args:
        return text[:_LARGEST]
    try:
        if isinstance(args, Mapping):
            return (text % {name: _told(arg) for name, arg in args.items()})[:_LARGEST]
        return (text % tuple(map(_told, args)))[:_LARGEST]
    except Exception:  # noqa: BLE001 - a library's mistake must not end the export that it tells of
        return text[:_LARGEST]


def _told(arg: object) -> object:
    # The text of an exception holds the endpoint with its query; its class says enough.
    return type(arg).__name__ if isinstance(arg, Exception) else arg


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """What the library logs meanwhile, kept out of standard error."""
    said: list[str] = []

    class _Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(redact(_worded(record)).partition(", retrying")[0].rstrip("."))

    logger, keeper = logging.getLogger(_LIBRARY), _Keeper()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(keeper)
    try:
        yield said
    finally:
        logger.removeHandler(keeper)
        logger.propagate = before
