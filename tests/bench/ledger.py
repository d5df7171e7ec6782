"""Ten thousand jobs in the ledger: what they cost in memory, at a scrape, and at each answer that is read."""

import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.bench import processes
from tests.bench.client import Client
from tests.bench.report import Figure
from tests.bench.rig import ENGINES, UNPACED, Rig
from tests.bench.upstream import LIST, PAGE_SIZE

JOBS = 10_000
_SCRAPES = 20
_MILLI = 1_000
_MIB = 1_048_576


def measure(rig: Rig) -> list[Figure]:
    """A gateway that has read the lists of all those jobs, with the store in a file."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "jobs.db"
        settings = {**UNPACED, "JOBS__STORE": f"sqlite://{store}"}
        with rig.gateway(ENGINES[0], settings=settings) as gateway, Client(gateway.data) as app:
            # The same pages of one job first, so that buffers are not taken for jobs.
            for _ in range(JOBS // PAGE_SIZE):
                app.get(f"{LIST.decode()}0")
            before = processes.resident(gateway.pid)
            for number in range(JOBS // PAGE_SIZE):
                app.get(f"{LIST.decode()}{number}")
            scrapes = _scrapes(gateway.admin)
            grown = processes.resident(gateway.pid) - before
        size = store.stat().st_size / _MIB
    printed = processes.output_of(
        "-m", "tests.bench.observation", str(JOBS), cores=rig.gateway_cores, within=120
    )
    observed = json.loads(printed)
    note = f"{observed['least']:.1f} to {observed['most']:.1f}"
    name = f"{JOBS:,} jobs in the ledger"
    return [
        Figure(f"{name}: a scrape", statistics.median(scrapes), "ms", 50.0, samples=scrapes),
        Figure(f"{name}: RSS over that without them", grown, "MiB", 30 * 1_000_000 / _MIB, "at most"),
        Figure(f"{name}: an answer that is read", observed["median"], "µs", 20.0, note=note),
        Figure(f"{name}: the store's file", size, "MiB"),
    ]


def _scrapes(port: int) -> list[float]:
    """Milliseconds of each."""
    took = []
    with Client(port) as prometheus:
        for _ in range(_SCRAPES):
            began = time.perf_counter()
            shown = prometheus.get("/metrics")
            took.append((time.perf_counter() - began) * _MILLI)
    counted = f'adt_jobs{{kind="import",status="succeeded"}} {JOBS:.1f}'
    if counted.encode() not in shown:
        raise ValueError("the ledger does not hold the jobs that were listed")
    return took
