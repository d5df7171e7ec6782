"""The budget of retries and the pause before one."""

import random

import pytest

from gateway.config import Retry
from gateway.resilience import Retries


class Now:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Now:
    """The budget's clock."""
    return Now()


def _granted(retries: Retries, tries: int) -> int:
    return sum(retries.granted(1) for _ in range(tries))


def test_a_share_of_the_requests_and_a_floor(clock: Now) -> None:
    """1,000 requests that all fail get 100 retries for their number and 10 for ten seconds of the floor."""
    retries = Retries(Retry(), clock=clock)
    for _ in range(1_000):
        retries.requested(clock.now)
    assert _granted(retries, 1_000) == 110


def test_retries_come_back(clock: Now) -> None:
    """What was used is earned again after ten seconds; what was earned and not used is gone by then."""
    retries = Retries(Retry(), clock=clock)
    for _ in range(1_000):
        retries.requested(clock.now)
    assert _granted(retries, 1_000) == 110
    clock.now += 10
    assert _granted(retries, 1_000) == 10


def test_a_quiet_gateway_may_retry(clock: Now) -> None:
    """The floor needs no requests; without it only the share counts."""
    assert _granted(Retries(Retry(floor=1), clock=clock), 50) == 10
    assert _granted(Retries(Retry(floor=0), clock=clock), 50) == 0
    retries = Retries(Retry(floor=0, budget=0.5), clock=clock)
    for _ in range(3):
        retries.requested(clock.now)
    assert _granted(retries, 50) == 1


@pytest.mark.parametrize(("attempts", "tries"), [(1, 0), (2, 1), (3, 2), (10, 9)])
def test_attempts_of_one_request_are_bounded(clock: Now, attempts: int, tries: int) -> None:
    """A request has at most so many attempts, however much budget there is; a refusal costs nothing."""
    retries = Retries(Retry(attempts=attempts, floor=1_000), clock=clock)
    assert sum(retries.granted(made) for made in range(1, 20)) == tries


def test_a_refused_retry_is_not_charged(clock: Now) -> None:
    """A request that may not be tried again takes nothing from the others."""
    retries = Retries(Retry(attempts=2, floor=0.1), clock=clock)
    assert [retries.granted(2) for _ in range(5)] == [False] * 5
    assert retries.granted(1)


def test_the_pause_is_anything_up_to_a_bound_that_doubles(clock: Now) -> None:
    """Full jitter: from nothing to 0.1 s before the second attempt, to 0.2 s before the third."""
    chance = random.Random(7)  # noqa: S311 - a test's data
    retries = Retries(Retry(), clock=clock, chance=chance)
    for made, longest in ((1, 0.1), (2, 0.2), (3, 0.4)):
        pauses = [retries.pause(made) for _ in range(500)]
        assert all(0 <= pause <= longest for pause in pauses)
        assert min(pauses) < longest * 0.1
        assert max(pauses) > longest * 0.9
    assert Retries(Retry(backoff=0), clock=clock).pause(2) == 0
