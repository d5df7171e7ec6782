"""The reach: what is a must, what is the goal, and what was reached, as medians of ratios of one run."""

from collections.abc import Sequence
from typing import Literal

from tests.bench.report import Figure
from tests.bench.samples import Sample, Samples, median

OWN = {"gateway-asyncio": "asyncio", "gateway": "pyreqwest"}
"""The engine by candidate: what the reach is about."""
_ONE, _MANY, _MOST = "job-1", "job-32", "job-512"


def figures(samples: Samples) -> list[Figure]:
    """The rows that come from the rounds, engine by engine; one without values is left out."""
    return [row for own in OWN for row in _rows(samples, own) if row is not None]


def _rows(samples: Samples, own: str) -> list[Figure | None]:
    engine = OWN[own]

    def against(other: str, must: float, goal: float) -> Figure | None:
        ratios = samples.ratios(_MANY, own, other, _rate)
        return _row(f"{engine}: requests/s at 32 connections over {other}'s", ratios, must, goal)

    def transfer(way: str) -> Figure | None:
        ratios = samples.ratios(way, own, "nginx", _received)
        return _row(f"{engine}: 64 MiB {way}, bytes/s over nginx's", ratios, 0.3, 0.6)

    return [
        against("envoy", 0.6, 1.0),
        against("traefik", 0.9, 1.5),
        against("caddy", 0.9, 1.5),
        against("plain", 20, 40),
        _row(
            f"{engine}: added median latency at 1 connection over envoy's",
            samples.added(_ONE, own, "envoy", "direct", _p50),
            1.3,
            1.0,
            "at most",
        ),
        _row(
            f"{engine}: requests/s at 512 connections over those at 32",
            samples.across(own, _MOST, _MANY, _rate),
            0.8,
            0.95,
        ),
        transfer("down"),
        transfer("up"),
        _row(
            f"{engine}: CPU per request with sampling off over that at 100 %",
            samples.ratios(_MANY, f"{own}-unsampled", own, _cpu),
            None,
            0.7,
            "at most",
        ),
    ]


def _row(
    measure: str,
    ratios: Sequence[float],
    must: float | None,
    goal: float,
    bound: Literal["at most", "at least"] = "at least",
) -> Figure | None:
    value = median(ratios)
    if value is None:
        return None
    return Figure(measure, value, "x", must, bound, samples=ratios, goal=goal)


def _rate(sample: Sample) -> float:
    return sample.rate


def _received(sample: Sample) -> float:
    return sample.received


def _p50(sample: Sample) -> float:
    return sample.p50


def _cpu(sample: Sample) -> float:
    return sample.cpu_per_request
