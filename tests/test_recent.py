"""The last minutes: steps that roll, failures, percentiles that say how exact they are."""

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Attempt, Exchange
from gateway.failures import REGISTRY
from gateway.recent import WINDOW, Recent, UpstreamHealth
from gateway.recent.steps import STEP
from tests.support.exchanges import finished

WALL = 1_750_000_003.25
"""Some way into a step."""
BEGAN = 1_750_000_000.0


class Clocks:
    """A monotonic clock and a wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = 50.0
        self.wall = WALL

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def recent(clocks: Clocks) -> Recent:
    return Recent(frozenset(), clock=lambda: clocks.now, wall=lambda: clocks.wall)


def exchange(clocks: Clocks, seconds: float = 0.5, status: int | None = 200) -> Exchange:
    """An exchange that ends now."""
    made = finished(status=status)
    made.started, made.finished = clocks.now - seconds, clocks.now
    return made


def attempt(clocks: Clocks, status: int | None = 200, error_type: str | None = None) -> Attempt:
    """An attempt of 0.25 s that ends now."""
    return Attempt(0, started=clocks.now - 0.25, finished=clocks.now, status=status, error_type=error_type)


def counts(steps: list[dict[str, Any]]) -> dict[float, tuple[int, int]]:
    """Requests and failures of the steps that have some, by start."""
    return {step["start"]: (step["requests"], step["failed"]) for step in steps if step["requests"]}


def test_steps_are_sixty_of_ten_seconds(clocks: Clocks, recent: Recent) -> None:
    """There are always sixty steps, oldest first, at multiples of ten seconds, empty ones too."""
    for _ in range(3):
        view = recent.view()
        assert (view["stepSeconds"], view["windowSeconds"]) == (10, 600)
        last = math.floor(clocks.wall / STEP) * STEP
        for steps in (view["app"], view["upstream"]):
            assert [step["start"] for step in steps] == [last - STEP * back for back in range(59, -1, -1)]
            assert steps[0] == {
                "start": last - 590, "requests": 0, "failed": 0, "p50Seconds": None, "p95Seconds": None
            }  # fmt: skip
        clocks.pass_(1_234.5)


def test_each_counts_in_the_step_in_which_it_ended(clocks: Clocks, recent: Recent) -> None:
    """What ends in one step is counted there, and what ends in the next one there."""
    recent.exchange_finished(exchange(clocks))
    clocks.pass_(6.5)
    recent.exchange_finished(exchange(clocks, seconds=30))
    clocks.pass_(0.25)
    recent.exchange_finished(exchange(clocks))
    clocks.pass_(20)
    recent.exchange_finished(exchange(clocks))
    assert counts(recent.view()["app"]) == {BEGAN: (2, 0), BEGAN + 10: (1, 0), BEGAN + 30: (1, 0)}


@pytest.mark.parametrize("passed", [WINDOW, WINDOW + 1, 3 * WINDOW, 1e7])
def test_what_is_older_than_the_window_is_gone(clocks: Clocks, recent: Recent, passed: float) -> None:
    """After a silence of any length the old steps are empty, whether somebody looks or something comes."""
    recent.exchange_finished(exchange(clocks))
    recent.attempt_finished(attempt(clocks))
    clocks.pass_(WINDOW - STEP)
    assert counts(recent.view()["app"]) == {BEGAN: (1, 0)}
    clocks.pass_(passed - WINDOW + STEP)
    recent.exchange_finished(exchange(clocks))
    view = recent.view()
    assert list(counts(view["app"]).values()) == [(1, 0)]
    assert counts(view["upstream"]) == {}
    assert recent.upstream_health().attempts == 0


@given(st.lists(st.tuples(st.floats(0, 200), st.booleans()), max_size=60))
def test_nothing_is_lost_or_told_twice(arrivals: list[tuple[float, bool]]) -> None:
    """The steps hold exactly what ended within the window, in whatever rhythm it came."""
    clocks = Clocks()
    recent = Recent(frozenset(), clock=lambda: clocks.now, wall=lambda: clocks.wall)
    ended: list[tuple[float, bool]] = []
    for pause, failed in arrivals:
        clocks.pass_(pause)
        recent.exchange_finished(exchange(clocks, status=500 if failed else 200))
        ended.append((clocks.now + WALL - 50.0, failed))
    shown = recent.view()["app"]
    for step in shown:
        there = [failed for at, failed in ended if step["start"] <= at < step["start"] + STEP]
        assert (step["requests"], step["failed"]) == (len(there), sum(there))


def test_a_wall_clock_that_is_set(clocks: Clocks, recent: Recent) -> None:
    """When the wall clock jumps nothing is lost, and the steps are told in the new time."""
    recent.exchange_finished(exchange(clocks))
    for jump in (-86_400.0, 7_200.0):
        clocks.wall += jump
        assert list(counts(recent.view()["app"]).values()) == [(1, 0)]
        start = recent.view()["app"][-1]["start"]
        assert start <= clocks.wall < start + STEP


@pytest.mark.parametrize(
    ("status", "changes", "failed"),
    [
        (200, {}, 0),
        (404, {}, 0),
        (429, {}, 0),
        (499, {}, 0),
        (500, {}, 1),
        (503, {"client_left": True}, 1),
        (None, {"client_left": True}, 0),
        (None, {}, 0),
        (200, {"client_left": True}, 0),
        (200, {"cut": True}, 1),
    ],
)
def test_which_exchanges_failed(
    clocks: Clocks, recent: Recent, status: int | None, changes: dict[str, bool], failed: int
) -> None:
    """Failed is a status of 500 or more, or a response that was cut; a client that left is only counted."""
    told = exchange(clocks, status=status)
    for name, value in changes.items():
        setattr(told, name, value)
    recent.exchange_finished(told)
    assert counts(recent.view()["app"]) == {BEGAN: (1, failed)}


@pytest.mark.parametrize(
    ("status", "error_type", "failed"),
    [
        (200, None, 0),
        (401, "401", 0),
        (404, "404", 0),
        (429, "429", 0),
        (500, "500", 1),
        (599, "599", 1),
        (None, "GatewayUpstreamUnreachable", 1),
        (None, "GatewayUpstreamTimeout", 1),
        (None, "GatewayOverloaded", 1),
        (200, "GatewayUpstreamConnectionLost", 1),
        (404, "GatewayUpstreamConnectionLost", 1),
        (None, "RuntimeError", 1),
        (None, "GatewayRequestTimeout", 0),
        (None, "GatewayRequestTooLarge", 0),
        (None, "GatewayRequestInvalid", 0),
    ],
)
def test_which_attempts_failed(
    clocks: Clocks, recent: Recent, status: int | None, error_type: str | None, failed: int
) -> None:
    """Failed is 5xx or no whole response; what the app's own request broke is not the upstream's."""
    assert error_type is None or not error_type.startswith("Gateway") or error_type in REGISTRY
    recent.attempt_finished(attempt(clocks, status, error_type))
    assert counts(recent.view()["upstream"]) == {BEGAN: (1, failed)}
    assert recent.upstream_health().in_a_row == failed


def test_cancelled_attempts_count_and_did_not_fail(clocks: Clocks, recent: Recent) -> None:
    """An attempt that its client gave up says nothing of the upstream: no failure, no recovery either."""
    recent.attempt_finished(attempt(clocks, None, "GatewayUpstreamTimeout"))
    given_up = attempt(clocks, None)
    given_up.cancelled = True
    recent.attempt_finished(given_up)
    recent.attempt_finished(attempt(clocks, None, "GatewayRequestTimeout"))
    assert counts(recent.view()["upstream"]) == {BEGAN: (3, 1)}
    assert recent.upstream_health().in_a_row == 1


def test_failures_in_a_row(clocks: Clocks, recent: Recent) -> None:
    """Since when and how often in a row the upstream fails, until an answer comes; 4xx is one."""
    assert recent.upstream_health() == UpstreamHealth(0, 0, 0, None, None)
    recent.attempt_finished(attempt(clocks))
    recent.attempt_finished(attempt(clocks, 503, "503"))
    clocks.pass_(30)
    recent.attempt_finished(attempt(clocks, None, "GatewayUpstreamUnreachable"))
    clocks.pass_(12)
    assert recent.upstream_health() == UpstreamHealth(3, 2, 2, 42, "GatewayUpstreamUnreachable")
    recent.attempt_finished(attempt(clocks, 404, "404"))
    assert recent.upstream_health() == UpstreamHealth(4, 2, 0, None, None)


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_within_a_tenth(clocks: Clocks, recent: Recent, seed: int) -> None:
    """p50 and p95 are within 10 % of the duration of the nearest rank, whatever the durations."""
    chance = random.Random(seed)  # noqa: S311 - a test's data
    durations = sorted(
        min(128.0, max(0.000_13, chance.lognormvariate(-4 + seed, 1.5))) for _ in range(1 + 40 * seed)
    )
    for seconds in durations:
        recent.exchange_finished(exchange(clocks, seconds))
    step = recent.view()["app"][-1]
    for share, name in ((0.5, "p50Seconds"), (0.95, "p95Seconds")):
        true = durations[math.ceil(len(durations) * share) - 1]
        assert abs(step[name] / true - 1) < 0.1


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, 2.0**-13), (1e-9, 2.0**-13), (128.5, 128), (1e6, 128)])
def test_durations_beyond_the_buckets(clocks: Clocks, recent: Recent, seconds: float, shown: float) -> None:
    """What is shorter or longer than all buckets counts as the end that it is beyond."""
    recent.exchange_finished(exchange(clocks, seconds=seconds))
    assert recent.view()["app"][-1]["p50Seconds"] == shown


def test_the_view_is_json(clocks: Clocks, recent: Recent) -> None:
    """The view is JSON as it is, and small enough to be asked for every other second."""
    for _ in range(60):
        recent.exchange_finished(exchange(clocks))
        recent.attempt_finished(attempt(clocks))
        clocks.pass_(STEP)
    text = json.dumps(recent.view(), allow_nan=False)
    assert json.loads(text) == recent.view()
    assert len(text) < 20_000
