"""Rules of `tracing` and of the OTEL_* variables that the gateway honours.

Names and values are those of the OpenTelemetry specification, "Environment Variable Specification" and
"OpenTelemetry Protocol Exporter". A disabled SDK reads none of them.
"""

import re
from collections.abc import Iterator

from gateway.config.problem import Problem
from gateway.config.rules.given import Given, url_fault

_RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")
SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
EXPORTERS = ("otlp", "console", "none")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NOT_IN_A_URL = re.compile(r'[^!-~]|["<>\\^`|]')
_TRACE_ID = "{trace_id}"


def endpoint(given: Given) -> Iterator[Problem]:
    """Spans are sent to a URL."""
    url = given.settings.tracing.endpoint
    if url is not None:
        yield from given.fault("tracing.endpoint", url_fault(url, query=True))
        return
    variable = _first(given, _ENDPOINTS)
    if variable and _exports(given) and (fault := url_fault(given.environ[variable], query=True)):
        yield Problem("", fault, variable)


def protocol(given: Given) -> Iterator[Problem]:
    """Spans are sent as protobuf over HTTP; another protocol would fail for as long as it is asked for."""
    variable = _first(given, _PROTOCOLS)
    sends = given.settings.tracing.endpoint is not None or _first(given, _ENDPOINTS) is not None
    if variable and sends and _exports(given) and given.environ[variable].strip() != "http/protobuf":
        yield Problem("", "must be http/protobuf, the only OTLP protocol that is supported", variable)


def sampler(given: Given) -> Iterator[Problem]:
    """The sampler of the environment is known, and its ratio is one."""
    name = (given.variable("OTEL_TRACES_SAMPLER") or "").strip().lower()
    if not name or _disabled(given):
        return
    if name not in SAMPLERS:
        yield Problem("", f"must be one of {', '.join(SAMPLERS)}", "OTEL_TRACES_SAMPLER")
    argument = given.variable("OTEL_TRACES_SAMPLER_ARG")
    if name in _RATIO_SAMPLERS and argument and not _is_ratio(argument):
        yield Problem("", "must be a number from 0 to 1", "OTEL_TRACES_SAMPLER_ARG")


def exporter(given: Given) -> Iterator[Problem]:
    """The exporter of the environment is known."""
    if not _disabled(given) and _exporters(given).difference(EXPORTERS):
        yield Problem("", f"must be one or more of {', '.join(EXPORTERS)}", "OTEL_TRACES_EXPORTER")


def ui_url(given: Given) -> Iterator[Problem]:
    """A link to a trace has a place for its id."""
    url = given.settings.tracing.ui_url
    if url is not None:
        yield from given.fault("tracing.ui_url", _link_fault(url))


def _link_fault(url: str) -> str | None:
    # What stands for the id is right in a path, a query and a fragment, and wrong in a host and a port.
    filled = url.replace(_TRACE_ID, "!")
    if filled == url:
        return f"must contain {_TRACE_ID}"
    if "{" in filled or "}" in filled:
        return f"must have no braces but those of {_TRACE_ID}; others are written %7B and %7D"
    if odd := _NOT_IN_A_URL.search(filled):
        return f"must have {odd[0]!r} percent-encoded (RFC 3986)"
    return url_fault(filled, fragment=True)


def _disabled(given: Given) -> bool:
    return (given.variable("OTEL_SDK_DISABLED") or "").strip().lower() == "true"


def _exports(given: Given) -> bool:
    """Whether OTLP is in use."""
    return "otlp" in _exporters(given) and not _disabled(given)


def _exporters(given: Given) -> set[str]:
    return {name.strip() for name in (given.variable("OTEL_TRACES_EXPORTER") or "otlp").split(",")}


def _first(given: Given, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if given.variable(name)), None)


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
