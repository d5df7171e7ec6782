"""What the gateway adds at one connection; rounds interleave direct and gateways, so drift hits all alike."""

import statistics
from contextlib import ExitStack

from tests.bench.client import Client
from tests.bench.report import Figure
from tests.bench.rig import ENGINES, JOB, Gateway, Rig

ADDED = 1.0
DIRECT = "direct"
_MILLI = 1_000
_WARM_UP = 200


def measure(rig: Rig, gateways: list[Gateway], rounds: int, requests: int) -> list[Figure]:
    """`rounds` of `requests` GETs of a job each; figures are medians over rounds of differences per round."""
    p50: dict[str, list[float]] = {name: [] for name in (DIRECT, *ENGINES)}
    p99: dict[str, list[float]] = {name: [] for name in (DIRECT, *ENGINES)}
    with ExitStack() as stack:
        clients = {DIRECT: stack.enter_context(Client(rig.upstream))}
        clients |= {each.engine: stack.enter_context(Client(each.data)) for each in gateways}
        for client in clients.values():
            client.timings(JOB, _WARM_UP)
        for _ in range(rounds):
            for name, client in clients.items():
                cuts = statistics.quantiles(client.timings(JOB, requests), n=100)
                p50[name].append(cuts[49] * _MILLI)
                p99[name].append(cuts[98] * _MILLI)
    figures = [_figure("direct, 1 connection, p50", p50[DIRECT])]
    for engine in ENGINES:
        must = ADDED if engine == ENGINES[0] else None
        figures.append(_figure(f"added at p50, {engine}", _less(p50[engine], p50[DIRECT]), must))
        figures.append(_figure(f"added at p99, {engine}", _less(p99[engine], p99[DIRECT])))
    return figures


def _less(through: list[float], direct: list[float]) -> list[float]:
    return [one - other for one, other in zip(through, direct, strict=True)]


def _figure(measure_name: str, samples: list[float], must: float | None = None) -> Figure:
    return Figure(measure_name, statistics.median(samples), "ms", must, samples=samples)
