"""Who decides whether a request is traced: the caller's flag, a ratio, or the environment.

Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling.
"""

import logging
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from gateway.config import Tracing

_log = logging.getLogger("gateway.spans")
_PARENT_BASED = "parentbased_"
_ROOTS = frozenset({"always_on", "always_off", "traceidratio"})


class LinkedCaller(Sampler):
    """Follows the sampled flag of a caller whose trace was not continued but linked to."""

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide by a remote link's flag where there is one."""
        sampler = self._otherwise
        for link in links or ():
            if link.context.is_remote:
                sampler = ALWAYS_ON if link.context.trace_flags.sampled else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name for diagnostics."""
        return f"LinkedCaller{{{self._otherwise.get_description()}}}"


def sampler(settings: Tracing, environ: Mapping[str, str]) -> Sampler:
    """`tracing.sample_ratio`, else `OTEL_TRACES_SAMPLER`, else all; parent-based by default."""
    root = _root(settings, environ)
    if not _parent_based(settings, environ):
        return root
    if not settings.honour_sampled:
        return ParentBased(root, remote_parent_sampled=root, remote_parent_not_sampled=root)
    followed = ParentBased(root)
    return LinkedCaller(followed) if settings.trust == "restart" else followed


def follows_callers(settings: Tracing, environ: Mapping[str, str]) -> bool:
    """Whether the sampler does what a caller's flag says, wherever there is a caller, and nothing else."""
    return settings.honour_sampled and settings.trust == "continue" and _parent_based(settings, environ)


def _parent_based(settings: Tracing, environ: Mapping[str, str]) -> bool:
    return settings.sample_ratio is not None or _name(environ) not in _ROOTS


def _root(settings: Tracing, environ: Mapping[str, str]) -> Sampler:
    if settings.sample_ratio is not None:
        return TraceIdRatioBased(settings.sample_ratio)
    name = _name(environ)
    match name.removeprefix(_PARENT_BASED):
        case "always_off":
            return ALWAYS_OFF
        case "traceidratio":
            return TraceIdRatioBased(_ratio(environ))
        case root if name and root not in _ROOTS:
            _log.warning("OTEL_TRACES_SAMPLER: %s is not known; parentbased_always_on is used", name)
    return ALWAYS_ON


def _name(environ: Mapping[str, str]) -> str:
    return environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()


def _ratio(environ: Mapping[str, str]) -> float:
    value = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if 0 <= ratio <= 1:
        return ratio
    _log.warning("OTEL_TRACES_SAMPLER_ARG: %s is not a number from 0 to 1; 1 is used", value or "(unset)")
    return 1.0
