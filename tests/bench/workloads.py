"""What is asked of the candidates."""

import time
from dataclasses import dataclass

from tests.bench import wrk
from tests.bench.candidates.kind import Candidate, Part
from tests.bench.client import Client
from tests.bench.rig import JOB
from tests.bench.site import LARGE, Site
from tests.bench.wrk import Load

_VERSION = "api-version=2023-10-31"
_LARGE = f"/digitaltwins/large?{_VERSION}"
_TRANSFERS = 8


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of one sort; `seconds` says how long a round lasts, where it is not a number of bodies."""

    name: str
    shown: str
    target: str
    connections: int = 32
    seconds: int = 2
    method: str = "GET"
    body: int = 0
    """Bytes."""
    new_ids: bool = False
    refused: bool = False
    """Whether each answer is a 404."""
    large: bool = False
    """Whether it is a number of bodies of 64 MiB on one connection."""
    part: Part = "all"
    """Which kinds take part."""

    def takes(self, part: Part) -> bool:
        """Whether a kind of that part takes part."""
        return part == self.part or (part == "all" and self.part == "job")


def run(workload: Workload, site: Site, candidate: Candidate, seconds: int) -> Load:
    """One round; raises LoadError, OSError, UnexpectedAnswerError."""
    if workload.large:
        return _transfers(workload, candidate)
    path = site.folder / f"{workload.name}.lua"
    if not path.exists():
        path.write_text(wrk.script(workload.method, workload.body, new_ids=workload.new_ids))
    url = candidate.url + workload.target
    return wrk.run(path, url, workload.connections, seconds, site.rig.load_cores)


def _transfers(workload: Workload, candidate: Candidate) -> Load:
    """`received` is the bytes of the bodies, down or up."""
    body = bytes(LARGE)
    with Client(candidate.port) as client:
        began = time.perf_counter()
        for _ in range(_TRANSFERS):
            if workload.method == "PUT":
                client.put(workload.target, body)
            else:
                client.drain(workload.target)
        return Load(_TRANSFERS, time.perf_counter() - began, _TRANSFERS * LARGE)


_JOBS = f"/jobs/imports?{_VERSION}"
_ROOM = f"/digitaltwins/room?{_VERSION}"
_NONE = f"/digitaltwins/none?{_VERSION}"
WORKLOADS = (
    Workload("job-32", "GET of a job, 0.2 KB", JOB, 32, 4, part="job"),
    Workload("job-1", "GET of a job", JOB, 1, 2, part="job"),
    Workload("job-512", "GET of a job", JOB, 512, 3),
    Workload("list", "GET of a list, 64 KB", _JOBS),
    Workload("put", "PUT of a job", JOB, method="PUT", body=200, new_ids=True),
    Workload("writes", "PUT of a twin, 32 KB", _ROOM, method="PUT", body=32_000),
    Workload("errors", "GET of what is not there", _NONE, refused=True),
    Workload("down", "64 MiB down", _LARGE, 1, large=True),
    Workload("up", "64 MiB up", _LARGE, 1, method="PUT", large=True),
    Workload("tls", "GET of a job over TLS", JOB, 32, 3, part="tls"),
)
