"""A finished job as one span, from the service's own created to finished time.

It is made when the job has ended, never held open, so that a restart of the gateway in between loses nothing.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from opentelemetry.sdk.trace import Event

from gateway.spans import attributes, references
from gateway.spans.attributes import Attributes
from gateway.spans.lean import INTERNAL, LeanSpan, Recorder
from gateway.spans.references import SpanIds
from gateway.trace_context import SAMPLED

_FAILED: Final = "failed"
_NO_CODE: Final = "_OTHER"
_LAST_INSTANT: Final = 2**63 - 1
"""Nanoseconds; a time that does not fit would lose the whole batch of spans."""


@dataclass(frozen=True, slots=True)
class JobSpan:
    """A job that has ended, as its span needs it."""

    kind: str
    """`import` or `deletion`."""
    id: str
    status: str
    error_code: str | None
    """The job's own; free text."""
    created_ns: int | None
    """The service's time, nanoseconds since the epoch; None where it told none."""
    finished_ns: int | None
    first_seen: float
    """The gateway's time, seconds since the epoch."""
    last_seen: float
    history: tuple[tuple[str, float], ...]
    """Each status with the time at which the gateway first saw it, seconds since the epoch."""
    created_in: SpanIds | None
    """The request that created the job; None where it is not known."""


class _Finished(LeanSpan):
    """The job's span; its parent is of an earlier request, or of an earlier run."""

    __slots__ = ("events", "links")
    kind = INTERNAL
    parent_is_remote = True
    state = b""
    request_id = None
    usual = False


def export(recorder: Recorder, job: JobSpan, *, link: bool) -> None:
    """Hand the job's span over, unless its trace is not sampled.

    With a creating request: a child of it, or with `link` a trace of its own that links to it; its sampled
    flag decides. Without one: a trace of its own, and the sampler decides.
    """
    start = _instant(job.created_ns, job.first_seen)
    trace_id, span_id = _derived_ids(job, start)
    creator = references.context_of(job.created_in, remote=True)
    if not (recorder.sampling.samples(trace_id) if creator is None else creator.trace_flags.sampled):
        return
    span = _Finished()
    span.recorder = recorder
    span.name = f"{job.kind} job"
    span.parent_id, span.links = None, ()
    if link and job.created_in is not None:
        span.links = references.links_to([job.created_in])
    elif creator is not None:
        trace_id, span.parent_id = creator.trace_id, f"{creator.span_id:016x}"
    span.trace_id, span.span_id, span.flags = f"{trace_id:032x}", f"{span_id:016x}", SAMPLED
    span.start_time, span.end_time = start, max(start, _instant(job.finished_ns, job.last_seen))
    span.told = ((_attributes, (job,)),)
    span.events = tuple(_events(job, start, span.end_time))
    recorder.take(span)


def _derived_ids(job: JobSpan, start: int) -> tuple[int, int]:
    """Trace id and span id from what makes the job this one, so that a repeated export is the same span.

    Ids of jobs are used again, hence the time: the service's, or where it told none, when the job was first
    seen. Each part goes in with its length, so that no two jobs make the same text.
    """
    digest = hashlib.sha256()
    for part in (job.kind, job.id, str(start)):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8))
        digest.update(encoded)
    made = digest.digest()
    # All zeros stand for "no id" (W3C Trace Context).
    return int.from_bytes(made[:16]) or 1, int.from_bytes(made[16:24]) or 1


def _attributes(job: JobSpan) -> Attributes:
    learned: Attributes = {
        "az.digitaltwins.job.id": attributes.job_id(job.id),
        "az.digitaltwins.job.kind": job.kind,
        "az.digitaltwins.job.status": attributes.text(job.status),
    }
    if job.status == _FAILED:
        learned[attributes.ERROR] = attributes.text(job.error_code or _NO_CODE)
    return learned


def _events(job: JobSpan, start: int, end: int) -> Iterator[Event]:
    """One event per transition; the gateway's clock may differ from the service's, the span's bounds hold."""
    for status, seen in job.history:
        shown = attributes.text(status)
        at = min(max(_instant(None, seen), start), end)
        yield Event(f"status {shown}", {"az.digitaltwins.job.status": shown}, at)


def _instant(told: int | None, seen: float) -> int:
    """The service's time, else the gateway's; nanoseconds, and within what a span can hold."""
    if told is not None:
        return min(max(told, 0), _LAST_INSTANT)
    # A float of seconds is exact to the microsecond at best; what follows would be noise.
    return round(seen * 1e6) * 1_000 if 0 <= seen < _LAST_INSTANT / 1e9 else 0
