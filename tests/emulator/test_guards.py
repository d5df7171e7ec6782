"""The rate of the Jobs API."""

import httpx
import pytest

from gateway.emulator.guards import RateLimit
from tests.emulator.support import ManualClock, error_of


async def test_second_request_within_a_second_is_throttled(
    http: httpx.AsyncClient, clock: ManualClock
) -> None:
    """429 with Retry-After over all jobs routes together; a second later it goes on; others never count."""
    await http.post("/_emulator/settings", json={"rate_limit": 1.0})
    assert (await http.get("/jobs/imports")).status_code == 200
    response = await http.get("/jobs/deletions")
    assert error_of(response) == (429, "TooManyRequests")
    assert response.headers["Retry-After"] == "1"
    assert (await http.get("/models")).status_code == 200
    clock.advance(1)
    assert (await http.get("/jobs/deletions")).status_code == 200


async def test_slow_rate_says_how_long(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """Retry-After is the time that is left, rounded up."""
    await http.post("/_emulator/settings", json={"rate_limit": 0.1})
    await http.get("/jobs/imports")
    clock.advance(2.5)
    assert (await http.get("/jobs/imports")).headers["Retry-After"] == "8"


@pytest.mark.parametrize("jitter", [-0.05, 0.0, 0.05])
def test_rate_allows_jitter_but_no_more(jitter: float) -> None:
    """A client that keeps the rate may come a little early, and gains nothing by it over time."""
    limit, clock = RateLimit(), ManualClock()
    passed = 0
    for number in range(100):
        clock.now = ManualClock().now
        clock.advance(number + (jitter if number % 2 else 0))
        passed += limit.wait(clock(), 1.0) == 0
    assert passed == 100
    hurried, clock = RateLimit(), ManualClock()
    passed = 0
    for _ in range(1000):
        passed += hurried.wait(clock(), 1.0) == 0
        clock.advance(0.1)
    assert passed in (100, 101)
