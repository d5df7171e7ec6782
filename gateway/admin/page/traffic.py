"""Ten minutes of requests as figures and plots: the app's, and those that went on to ADT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.admin.page import plots
from gateway.admin.page.words import clock, latency, percent

Step = Mapping[str, Any]

_LEAST_LATENCY, _LEAST_REQUESTS, _LEAST_SHARE = 0.001, 1.0, 0.01
"""The smallest scales: a finer one would make noise look like news."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One small plot; `top` is what its upper edge stands for."""

    title: str
    description: str
    """The same for those who do not see it."""
    top: str
    steps: int
    area: str = ""
    line: str = ""
    second: str = ""
    bars: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """One side's requests in the window."""

    requests: int
    failed: int
    share: str
    """Of the failed ones, in per cent."""
    p50: str
    """Of the newest step that has one, as is `p95`."""
    p95: str
    plots: Sequence[Plot]


def traffic(series: Sequence[Step], step_seconds: float) -> Traffic:
    """The figures and plots of one side; `series` is oldest first, with the empty steps."""
    requests = sum(step["requests"] for step in series)
    failed = sum(step["failed"] for step in series)
    newest = next((step for step in reversed(series) if step["p95Seconds"] is not None), None)
    return Traffic(
        requests=requests,
        failed=failed,
        share=percent(failed, requests),
        p50=latency(newest["p50Seconds"] if newest else None),
        p95=latency(newest["p95Seconds"] if newest else None),
        plots=(_latencies(series), _failures(series), _rates(series, step_seconds)),
    )


def failing(series: Sequence[Step], seconds: float, step_seconds: float) -> tuple[int, int]:
    """How many failed in the newest `seconds`, and of how many."""
    newest = series[-max(1, int(seconds // step_seconds)) :]
    return sum(step["failed"] for step in newest), sum(step["requests"] for step in newest)


def _latencies(series: Sequence[Step]) -> Plot:
    upper = [step["p95Seconds"] for step in series]
    lower = [step["p50Seconds"] for step in series]
    known = [value for value in upper if value is not None]
    top = plots.ceiling(max(known, default=0.0), _LEAST_LATENCY)
    told = (
        "No latency is known."
        if not known
        else f"The highest p95 is {latency(max(known))}{_at(series, upper)}."
    )
    return Plot(
        title="Latency: p50 and p95",
        description=told,
        top=latency(top).replace(".0 ", " "),
        steps=len(series),
        area=plots.area(upper, top),
        line=plots.steps(lower, top),
        second=plots.steps(upper, top),
    )


def _failures(series: Sequence[Step]) -> Plot:
    shares = [step["failed"] / step["requests"] if step["requests"] else None for step in series]
    worst = max((share for share in shares if share is not None), default=0.0)
    top = min(1.0, plots.ceiling(worst, _LEAST_SHARE))
    told = f"The worst is {percent(worst, 1)}{_at(series, shares)}." if worst else "None failed."
    return Plot(
        title="Error rate",
        description=told,
        top=percent(top, 1),
        steps=len(series),
        bars=plots.bars(shares, top),
        is_bad=True,
    )


def _rates(series: Sequence[Step], step_seconds: float) -> Plot:
    rates = [step["requests"] / step_seconds for step in series]
    highest = max(rates, default=0.0)
    top = plots.ceiling(highest, _LEAST_REQUESTS)
    told = f"The most are {highest:.1f} per second{_at(series, rates)}." if highest else "There was none."
    return Plot(
        title="Requests per second",
        description=told,
        top=f"{top:,.0f}/s",
        steps=len(series),
        bars=plots.bars(rates, top),
    )


def _at(series: Sequence[Step], values: Sequence[float | None]) -> str:
    """When the highest value was."""
    index = max(range(len(values)), key=lambda place: values[place] or 0.0)
    start = series[index]["start"]
    return f" at {clock(start, start)} UTC"
