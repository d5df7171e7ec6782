"""Rare events are counted from the first one on: what `events` asks, evaluated by promtool."""

from pathlib import Path

import pytest

from grafana.queries import RANGE, STEP, events, increase, total
from tests.support.promql import without_variables
from tests.support.promtool import complaint

METRIC = "adt_jobs_finished_total"
VALUES = {"job": "adt-gateway", "instance": "one", "__rate_interval": "1m15s", "__range": "30m"}
VALUES |= {"__range_s": "1800"}
LABELS = '{job="adt-gateway", instance="one"}'
HOUR = 240
"""Scrapes, every 15 s. Queries are asked at one hour, and look half an hour back."""

LONG_AGO, LATELY = -9_000, 1_810
"""When the gateway started, in seconds; the second is within the half hour."""


def _answer(folder: Path, expression: str, expected: int, **series: str) -> str:
    """What promtool has to say against the expected number at one hour; empty where it agrees."""
    names = {"counter": METRIC, "start": "process_start_time_seconds"}
    names["build"] = "adt_gateway_build_info"
    told = {names[name] + LABELS: values for name, values in series.items()}
    asked = f"round({total(without_variables(expression, VALUES))})"
    return complaint(folder, told, asked, {"{}": expected})


def _scrapes(*parts: tuple[int | str, int]) -> str:
    """Values, each for a number of scrapes; `_` is a scrape without the series, after which it is gone."""
    return " ".join(f"{value}x{count - 1}" for value, count in parts)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([("_", 200), (1, 60)], 1, id="the first of its kind"),
        pytest.param([("_", 200), (1, 20), (3, 40)], 3, id="the first and two more"),
        pytest.param([(7, 260)], 0, id="nothing new"),
        pytest.param([(7, 200), (9, 60)], 2, id="two more of a known kind"),
        pytest.param([("_", 150), (1, 10), (5, 20), ("_", 2), (1, 80)], 6, id="a restart after the first"),
        pytest.param([(5, 150), ("_", 2), (1, 110)], 1, id="a restart of a known kind"),
    ],
)
def test_events_of_the_time_range(tmp_path: Path, parts: list[tuple[int | str, int]], expected: int) -> None:
    """Every event counts once, the first of its kind too, over restarts of the gateway."""
    watched = {"build": _scrapes((1, 260)), "start": _scrapes((LONG_AGO, 260))}
    counter = _scrapes(*parts)
    assert not _answer(tmp_path, events(METRIC, over=RANGE), expected, counter=counter, **watched)


def test_increase_alone_would_miss_the_first(tmp_path: Path) -> None:
    """Why there is more to it than `increase`: that sees nothing where a series is born."""
    counter = _scrapes(("_", HOUR - 3), (1, 9))
    watched = {"build": _scrapes((1, 260)), "start": _scrapes((LONG_AGO, 260))}
    assert not _answer(tmp_path, increase(METRIC), 0, counter=counter, **watched)
    assert not _answer(tmp_path, events(METRIC, over=STEP), 1, counter=counter, **watched)


def test_a_gateway_that_is_met_late_brings_no_past(tmp_path: Path) -> None:
    """A gateway that started long before Prometheus saw it: what it had counted is not of this time range."""
    series = {"counter": _scrapes(("_", 150), (400, 50), (401, 60)), "build": _scrapes(("_", 150), (1, 110))}
    start = _scrapes(("_", 150), (LONG_AGO, 110))
    assert not _answer(tmp_path, events(METRIC, over=RANGE), 1, start=start, **series)


def test_a_gateway_that_began_in_the_time_range_counts_whole(tmp_path: Path) -> None:
    """A gateway that started within the range: all that it counted happened in it."""
    series = {"counter": _scrapes(("_", 150), (4, 110)), "build": _scrapes(("_", 150), (1, 110))}
    start = _scrapes(("_", 150), (LATELY, 110))
    assert not _answer(tmp_path, events(METRIC, over=RANGE), 4, start=start, **series)


def test_a_gap_in_the_scrapes_counts_nothing_twice(tmp_path: Path) -> None:
    """Prometheus was away for ten minutes: the counters that it finds again are not new."""
    gap = (HOUR - 43, 40)
    series = {
        "counter": _scrapes((400, gap[0]), ("_", gap[1]), (400, 9)),
        "build": _scrapes((1, gap[0]), ("_", gap[1]), (1, 9)),
        "start": _scrapes((LONG_AGO, gap[0]), ("_", gap[1]), (LONG_AGO, 9)),
    }
    assert not _answer(tmp_path, events(METRIC, over=STEP), 0, **series)
