"""Who decides whether a request is traced: the caller's flag, a ratio, or the environment.

Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from gateway.config import Tracing

_log = logging.getLogger("gateway.spans")
_PARENT_BASED = "parentbased_"
_ROOTS = frozenset({"always_on", "always_off", "traceidratio"})
_LOW_HALF = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """Every sampler that can be chosen, as the two questions that they ask.

    The SDK's ask them of a context that has to be built for each span.
    """

    follows: bool
    """Whether a caller's flag decides where there is a caller, of a trace continued or linked to."""
    ratio: float
    bound: int
    """Else the trace id decides: sampled where its low half is below this, the ratio's part of 2**64."""

    @classmethod
    def of(cls, settings: Tracing, environ: Mapping[str, str]) -> "Sampling":
        """`tracing.sample_ratio`, else `OTEL_TRACES_SAMPLER`, else all; parent-based by default."""
        follows = settings.honour_sampled and _parent_based(settings, environ)
        ratio = _root_ratio(settings, environ)
        return cls(follows, ratio, TraceIdRatioBased.get_bound_for_rate(ratio))

    def samples(self, trace_id: int) -> bool:
        """Whether a trace is recorded that no caller decided on."""
        return trace_id & _LOW_HALF < self.bound

    def of_the_sdk(self) -> Sampler:
        """The same for spans that the SDK makes, which no caller asked for."""
        return ParentBased(TraceIdRatioBased(self.ratio))


def _parent_based(settings: Tracing, environ: Mapping[str, str]) -> bool:
    return settings.sample_ratio is not None or _name(environ) not in _ROOTS


def _root_ratio(settings: Tracing, environ: Mapping[str, str]) -> float:
    """The share of the traces that no caller decided on."""
    if settings.sample_ratio is not None:
        return settings.sample_ratio
    name = _name(environ)
    match name.removeprefix(_PARENT_BASED):
        case "always_off":
            return 0.0
        case "traceidratio":
            return _ratio(environ)
        case root if name and root not in _ROOTS:
            _log.warning("OTEL_TRACES_SAMPLER: %s is not known; parentbased_always_on is used", name)
    return 1.0


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
