"""Which failures are tried again: what cannot run twice by it, and nothing else."""

from typing import Any

import pytest

from gateway import failures
from gateway.attempts.again import REASONS, STALE, UNREACHABLE, repeat_after
from gateway.downstream import Upload
from gateway.exchange import Attempt
from gateway.metrics import labels
from gateway.resilience import STATES

METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE")
LOST = failures.KeptConnectionLost("")
OTHERS = [
    each("") for each in failures.GatewayError.__subclasses__() if each is not failures.UpstreamUnreachable
]


class _NoApp:
    """An app that has sent everything."""

    body_finished = True


def _upload(start: bytes = b"") -> Upload:
    return Upload(_NoApp(), start)  # type: ignore[arg-type]


def _reason(error: BaseException, **changes: Any) -> str | None:
    last = Attempt(0, error_type=getattr(error, "code", None))
    given: dict[str, Any] = {"method": "GET", "body": None, "tried": [last], "until": 7.0}
    repeat = repeat_after(error, **{**given, **changes})
    if repeat is None:
        return None
    assert (repeat.error, repeat.until) == (error, 7.0)
    return repeat.reason


@pytest.mark.parametrize("method", METHODS)
async def test_what_was_not_sent(method: str) -> None:
    """Any method, with no body, a kept one, or a stream of which nothing was asked for; else not."""
    unreachable = failures.UpstreamUnreachable("")
    for body in (None, b"", b"kept", _upload(), _upload(b"start")):
        assert _reason(unreachable, method=method, body=body) == UNREACHABLE
    touched = _upload(b"start")
    assert [piece async for piece in touched] == [b"start"]
    assert _reason(unreachable, method=method, body=touched) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_connection_that_died(method: str) -> None:
    """Reads alone, and only where it may have been a kept one; never with a stream."""
    expected = STALE if method in {"GET", "HEAD"} else None
    assert _reason(LOST, method=method) == expected
    assert _reason(LOST, method=method, body=b"kept") == expected
    assert _reason(failures.UpstreamConnectionLost(""), method=method) is None
    assert _reason(LOST, method=method, body=_upload()) is None


def test_a_connection_that_died_twice() -> None:
    """It is no accident any more; another failure before it does not count."""
    lost, refused = Attempt(0, error_type=LOST.code), Attempt(0, error_type="GatewayUpstreamUnreachable")
    assert _reason(LOST, tried=[lost, lost]) is None
    assert _reason(LOST, tried=[lost, refused, lost]) is None
    assert _reason(LOST, tried=[refused, lost]) == STALE


@pytest.mark.parametrize(
    "error", [*OTHERS, failures.ClientLeft(), ValueError()], ids=lambda each: type(each).__name__
)
def test_nothing_else_is(error: BaseException) -> None:
    """No other failure is tried again, be it one after which nothing was sent."""
    assert _reason(error) is None


def test_the_metrics_know_the_same_names() -> None:
    """Reasons and states of the circuit are those of the labels; jobs requests have one more reason."""
    assert {*REASONS, "throttled"} == set(labels.RETRY_REASONS)
    assert labels.CIRCUIT_STATES == STATES
