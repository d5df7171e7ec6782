"""Whether a candidate did what is asked of it while it was measured: a figure without that is void."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.candidates.kind import Candidate, Duties
from tests.bench.site import Site
from tests.bench.wrk import Load

TOLERANCE = 0.02
"""Share of the requests whose spans, or whose count, may be missing."""
_SIGMAS = 5.0
_DONE_WITHIN = 8.0
"""Seconds that what was done has to become visible."""
_AGAIN_AFTER = 0.2


@dataclass(frozen=True, slots=True)
class Counts:
    """What had been counted at some moment."""

    forwarded: int = 0
    """Requests at the upstream, the questions for this count among them."""
    refused: int = 0
    """Those of them that had no token."""
    counted: float | None = None
    """Requests on the candidate's own metrics endpoint."""
    spans: Mapping[str, int] = field(default_factory=dict)
    """Its spans at the sink by kind."""


def count(site: Site, candidate: Candidate) -> Counts:
    """Read all counts."""
    counted = candidate.duties.counted
    return Counts(
        forwarded=site.requests(),
        refused=site.refused(),
        counted=None if counted is None else counted(),
        spans=site.spans(candidate.name),
    )


def judge(
    site: Site, candidate: Candidate, before: Counts, load: Load, *, connections: int, refused: bool
) -> list[str]:
    """What was not done for that load; gives it time to become visible."""
    deadline = time.perf_counter() + _DONE_WITHIN
    asked = 0
    while True:
        after = count(site, candidate)
        asked += 1
        found = undone(candidate.duties, load, before, after, asked=asked, connections=connections)
        if refused and load.not_ok != load.requests:
            found.append(f"{load.requests - load.not_ok} answers were no 404")
        if not refused and load.not_ok:
            found.append(f"{load.not_ok} answers were errors")
        if not found or time.perf_counter() > deadline:
            return found
        time.sleep(_AGAIN_AFTER)


def undone(
    duties: Duties, load: Load, before: Counts, after: Counts, *, asked: int, connections: int
) -> list[str]:
    """The duties that were not done, in words; `asked` of the upstream's requests were for counts."""
    forwarded = after.forwarded - before.forwarded - asked
    # What was under way at the end of the load arrived, but its answer was not counted by the load.
    slack = connections + TOLERANCE * load.requests
    found = []
    if not load.requests:
        found.append("no request was answered")
    if load.broken:
        found.append(f"{load.broken} connections broke or timed out")
    if abs(forwarded - load.requests) > slack:
        found.append(f"{forwarded} requests came to the upstream for {load.requests} answers")
    if refused := after.refused - before.refused:
        found.append(f"{refused} requests came without a token")
    if before.counted is not None and after.counted is not None:
        counted = after.counted - before.counted
        if abs(counted - load.requests) > slack:
            found.append(f"its metrics count {counted:.0f} of {load.requests} requests")
    expected = forwarded * duties.sampled
    # By chance as many more or fewer are sampled, where not all are.
    chance = _SIGMAS * math.sqrt(expected * (1 - duties.sampled))
    for kind in duties.spans:
        spans = after.spans.get(kind, 0) - before.spans.get(kind, 0)
        if abs(spans - expected) > TOLERANCE * expected + chance + connections * duties.sampled:
            found.append(f"{spans} {kind} spans arrived instead of {expected:.0f}")
    return found
