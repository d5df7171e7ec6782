"""The figures of a watch: the rate of polls, what is usual, and the expected end."""

import pytest

from gateway.console.progress import Pace, Usual, expected_end
from gateway.console.tables import expectation
from gateway.console.watch import Followed
from tests.support.console import NOW, past, told


def test_the_rate_of_polls() -> None:
    """Polls per second are a difference over the last half minute, and not known before there is one."""
    pace = Pace()
    for at in range(100):
        pace.read(at, at if at < 50 else 50 + 4 * (at - 50))
        assert (pace.rate is None) is (at == 0)
    assert pace.rate == 4
    pace.read(200, 450)
    assert pace.rate == pytest.approx((450 - 246) / 101)
    pace.read(1_000, 450)
    assert pace.rate == 0


@pytest.mark.parametrize(("at", "sightings"), [(2, 0), (1, 20), (0.5, 20)])
def test_a_count_that_begins_anew(at: float, sightings: int) -> None:
    """A restarted gateway counts from nothing, and a clock can be set back: no rate is below zero."""
    pace = Pace()
    pace.read(0, 8)
    pace.read(1, 10)
    pace.read(at, sightings)
    assert pace.rate is None
    pace.read(at + 2, sightings + 3)
    assert pace.rate == 1.5


def test_a_gateway_that_does_not_count() -> None:
    """Without a count there is no rate."""
    pace = Pace()
    for at, sightings in enumerate((1, None, 2)):
        pace.read(at, sightings)
    assert pace.rate is None


def test_what_is_usual() -> None:
    """It is the median of those that succeeded and tell how long they took; without one nothing is."""
    jobs = [past(10), past(30), past(1_000), past(None), past(1, status="failed")]
    assert Usual.of(jobs) == Usual(30, 3)
    assert Usual.of([past(None), past(1, status="failed")]) is None


def test_the_expected_end() -> None:
    """A job is expected to take as long as usual, unless it is over, cancelled, or of unknown beginning."""
    usual = Usual(25, 3)
    assert expected_end(told(), usual) == NOW + 15
    for job in (told(status="failed"), told(status="cancelling"), told(createdDateTime=None)):
        assert expected_end(job, usual) is None
    assert expected_end(told(), None) is None


@pytest.mark.parametrize(
    ("usual", "long", "brief"),
    [
        (
            Usual(202, 7),
            "in 3 min 12 s, at 2026-03-01 12:03:12 UTC (median of the last 7 that succeeded)",
            "in 3 min 12 s (of 7)",
        ),
        (
            Usual(9.5, 20),
            "longer than usual (9.5 s, median of the last 20 that succeeded)",
            "longer than usual (9.5 s)",
        ),
        (None, "unknown", "unknown"),
    ],
)
def test_the_expected_end_in_words(usual: Usual | None, long: str, brief: str) -> None:
    """It is said when, and from how many jobs that is drawn; or that it is overdue, or unknown."""
    one = Followed(told(), usual)
    assert (expectation(one, NOW), expectation(one, NOW, brief=True)) == (long, brief)
