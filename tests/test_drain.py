"""The one switch of the shutdown: it runs, drains, closes, and never goes back."""

import pytest

from gateway import failures
from gateway.drain import Drain


def test_running_gateway_takes_requests() -> None:
    """Before the shutdown nothing is refused and nothing says goodbye."""
    drain = Drain()
    drain.check()
    assert not drain.draining
    assert not drain.closing


def test_draining_gateway_still_serves() -> None:
    """While it drains, requests pass; only readiness and `Connection: close` tell."""
    drain = Drain()
    drain.begin()
    drain.check()
    assert drain.draining
    assert not drain.closing


def test_closed_gateway_refuses_with_a_time_to_come_back() -> None:
    """Once closed, a request on a kept connection gets 503 unsent, with a Retry-After."""
    drain = Drain()
    drain.begin()
    drain.close()
    with pytest.raises(failures.Draining) as caught:
        drain.check()
    assert caught.value.status("POST", sent=False) == 503
    assert caught.value.retry_after == 1


def test_closing_alone_drains_too() -> None:
    """A shutdown without a delay is not ready either, and beginning late reopens nothing."""
    drain = Drain()
    drain.close()
    assert drain.draining
    drain.begin()
    with pytest.raises(failures.Draining):
        drain.check()
