"""What it costs that the ledger looks at an answer; a process of its own, which prints microseconds as JSON.

    python -m tests.bench.observation JOBS

With JOBS jobs in the ledger, an answer that tells nothing new, as nearly every poll does.
"""

import json
import statistics
import sys
import time

from gateway import routes
from gateway.config import Jobs
from gateway.exchange import Exchange
from gateway.jobs import JobObserver, Ledger
from gateway.jobs.stores.memory import MemoryStore
from tests.bench.upstream import PAGE_SIZE, job, page

_ROUNDS = 200
_MICRO = 1_000_000


def exchange_of(path: str) -> Exchange:
    """A GET of the jobs routes."""
    raw = path.encode()
    return Exchange(
        "GET",
        raw,
        b"",
        [],
        route=routes.match("GET", raw),
        started=time.perf_counter(),
        started_ns=time.time_ns(),
    )


def cost(jobs: int) -> list[float]:
    """Microseconds of an observation, a mean for each round."""
    ledger = Ledger(Jobs(), clock=time.time, on_finished=lambda _: None, store=MemoryStore())
    observer = JobObserver(ledger)
    for number in range(jobs // PAGE_SIZE):
        observer.observe(exchange_of("/jobs/imports"), 200, [], page(number))
    polled = [job(number) for number in range(0, jobs, max(1, jobs // PAGE_SIZE))]
    answers = [(exchange_of(f"/jobs/imports/{each['id']}"), json.dumps(each).encode()) for each in polled]
    rounds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for exchange, body in answers:
            observer.observe(exchange, 200, [], body)
        rounds.append((time.perf_counter() - began) / len(answers) * _MICRO)
    return rounds


def main() -> None:
    """The command line above."""
    rounds = cost(int(sys.argv[1]))
    json.dump({"median": statistics.median(rounds), "least": min(rounds), "most": max(rounds)}, sys.stdout)


if __name__ == "__main__":
    main()
