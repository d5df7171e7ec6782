"""Starlette and httpx with the stock parts; see `plain_app`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import processes
from tests.bench.candidates.kind import Candidate, Duties, total
from tests.bench.programs import path_of
from tests.bench.site import TOKEN, Site

_APP = ("plain_app:app", "--app-dir", str(Path(__file__).parent))
"""By itself: the environment that it runs in has nothing of the benchmark's."""
_QUIET = ("--no-access-log", "--log-level", "critical")


@contextmanager
def plain(site: Site) -> Iterator[Candidate]:
    """It under uvicorn with uvloop and httptools."""
    port = processes.free_port()
    environ = {**site.environ("plain"), "UPSTREAM": f"http://127.0.0.1:{site.guarded}", "TOKEN": TOKEN}
    command = (path_of("uvicorn"), *_APP, "--port", str(port), *_QUIET)
    with processes.program(
        *command, cores=site.rig.gateway_cores, environ=environ, stderr=subprocess.DEVNULL
    ) as process:
        site.wait_for(f"http://127.0.0.1:{port}/metrics/")
        duties = Duties(
            # From a connection's second request on, most of what should be server spans are internal ones,
            # children of the request before: the stock instrumentation finds that one's context current.
            spans=("client",),
            counted=lambda: total(site.samples(port, "/metrics/"), "requests_total"),
        )
        yield Candidate("plain", port, process.pid, duties)
