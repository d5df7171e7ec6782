"""Time to ready, memory after many requests, and memory of a connection that is idle."""

import statistics
import time
from contextlib import ExitStack

from tests.bench import processes, workloads
from tests.bench.candidates.kind import Candidate, Kind
from tests.bench.client import Client
from tests.bench.reach import OWN
from tests.bench.report import Figure
from tests.bench.rig import JOB, Rig
from tests.bench.site import Site
from tests.bench.workloads import WORKLOADS

IDLE = 900
"""Connections; the gateway holds 1,000 by default."""
_KIB_PER_MIB = 1024
_MB_PER_MIB = 1.048576
_LOAD = next(each for each in WORKLOADS if each.name == "job-32")
_WARM_UP = 2
_PIECE = 5
"""Seconds of load after which the requests so far are counted."""
_SETTLED_AFTER = 1.5
FLAT = 5.0
"""MB; what counts as flat between a tenth of the requests and all of them."""


def ready(rig: Rig, engine: str, starts: int) -> Figure:
    """Seconds from the start of the process to the first 200 of /readyz, over some starts."""
    seconds = []
    for _ in range(starts):
        with rig.gateway(engine) as gateway:
            seconds.append(gateway.ready_after)
    name = f"{engine}: time to ready"
    return Figure(name, statistics.median(seconds), "s", 1.5, "at most", samples=seconds, goal=0.7)


def memory(site: Site, kind: Kind, requests: int) -> list[Figure]:
    """RSS in MB of a new candidate after that many GETs of a job, and its growth after the first tenth."""
    with kind.start(site) as candidate:
        early = _after(site, candidate, requests // 10)
        late = _after(site, candidate, requests - requests // 10)
    engine = OWN[kind.name]
    note = "" if requests >= 1_000_000 else "the reach is for 1,000,000"
    return [
        Figure(f"{engine}: RSS after {requests:,} requests", late, "MB", 120, "at most", note=note, goal=80),
        Figure(f"{engine}: its growth after the first tenth", late - early, "MB", FLAT, "at most", note=note),
    ]


def idle_connection(site: Site, kind: Kind) -> Figure:
    """KiB that a kept connection costs, after one request on it; kernel memory is not seen."""
    with kind.start(site) as candidate, ExitStack() as stack:
        workloads.run(_LOAD, site, candidate, _WARM_UP)
        time.sleep(_SETTLED_AFTER)
        before = _resident(candidate)
        for _ in range(IDLE):
            stack.enter_context(Client(candidate.port)).get(JOB)
        time.sleep(_SETTLED_AFTER)
        grown = (_resident(candidate) - before) / IDLE * _KIB_PER_MIB
    name = f"memory per idle connection, {kind.name}"
    if kind.name in OWN:
        return Figure(name, grown, "KiB", 10, "at most", note=f"of {IDLE}", goal=6)
    return Figure(name, grown, "KiB", note=f"of {IDLE}")


def _after(site: Site, candidate: Candidate, requests: int) -> float:
    """MB after at least so many more requests."""
    asked = 0
    while asked < requests:
        asked += max(1, workloads.run(_LOAD, site, candidate, _PIECE).requests)
    time.sleep(_SETTLED_AFTER)
    return _resident(candidate) * _MB_PER_MIB


def _resident(candidate: Candidate) -> float:
    return 0.0 if candidate.pid is None else processes.resident(candidate.pid)
