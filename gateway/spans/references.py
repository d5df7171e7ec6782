"""Spans known by their ids alone: of another request, of another process, or ended long ago."""

from collections.abc import Iterable
from typing import Final, Protocol

from opentelemetry.trace import Link, SpanContext, TraceFlags

from gateway.trace_context import RANDOM, SAMPLED

MAX_LINKS: Final = 128
"""Links of one span; the SDK's own default."""


class SpanIds(Protocol):
    """A span by its ids, lower-case hex; they may come from a store, so they need not be valid."""

    @property
    def trace_id(self) -> str:
        """32 digits."""

    @property
    def span_id(self) -> str:
        """16 digits."""

    @property
    def sampled(self) -> bool:
        """Whether it was recorded."""


def context_of(ids: SpanIds | None, *, remote: bool) -> SpanContext | None:
    """The span's context; None for ids that name no span."""
    if ids is None:
        return None
    flags = TraceFlags(RANDOM | (SAMPLED if ids.sampled else 0))
    try:
        context = SpanContext(
            int(ids.trace_id, 16), int(ids.span_id, 16), is_remote=remote, trace_flags=flags
        )
    except ValueError:
        return None
    return context if context.is_valid else None


def links_to(spans: Iterable[SpanIds]) -> list[Link]:
    """Links to at most `MAX_LINKS` spans.

    Not marked as remote, although one may be of an earlier run: the sampler follows remote links, which
    stand for the caller.
    """
    contexts = (context_of(ids, remote=False) for ids in spans)
    return [Link(context) for context in contexts if context is not None][:MAX_LINKS]
