"""What may be tried again, whatever failed and whatever was tried before."""

import time

from hypothesis import example, given
from hypothesis import strategies as st

from gateway import failures
from gateway.arrival import CONNECTION, Connection
from gateway.attempts.again import STALE, UNREACHABLE, Repeat, repeat_after
from gateway.config import Limits
from gateway.downstream import Downstream, Upload
from gateway.exchange import Attempt, Peer
from tests.support.tracing import an_exchange


async def nothing() -> dict[str, object]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def nowhere(_message: object) -> None: ...


def upload(*, touched: bool) -> Upload:
    """A body that streams, with or without its first byte asked for."""
    scope = {CONNECTION: Connection(lambda: None, Peer())}
    body = Upload(Downstream(scope, nothing, nowhere, an_exchange(), Limits()), b"start")
    body.untouched = not touched
    return body


BODIES = {"none": None, "kept": b"x", "stream": upload(touched=False), "touched": upload(touched=True)}
LOST = failures.UpstreamConnectionLost.code
KINDS = st.sampled_from([failures.KeptConnectionLost, failures.UpstreamUnreachable]) | st.sampled_from(
    [failures.GatewayError, *failures.GatewayError.__subclasses__()]
)
METHODS = st.sampled_from(["GET", "HEAD"]) | st.sampled_from(["POST", "PUT", "DELETE", "OPTIONS", "get"])
BEFORE = st.lists(st.sampled_from([LOST, failures.UpstreamUnreachable.code, "401", None]), max_size=3)


@given(KINDS, METHODS, st.sampled_from(sorted(BODIES)), BEFORE)
@example(failures.KeptConnectionLost, "GET", "none", [])
@example(failures.KeptConnectionLost, "HEAD", "kept", ["401"])
@example(failures.UpstreamConnectionLost, "GET", "none", [])
def test_nothing_runs_twice(
    kind: type[failures.GatewayError], method: str, body: str, before: list[str | None]
) -> None:
    """Unsent, body untouched: any method. Lost: a read without a stream, once, on what may have been kept."""
    tried = [Attempt(number, error_type=error) for number, error in enumerate([*before, kind.code])]
    error = kind("x")
    repeat = repeat_after(error, method=method, body=BODIES[body], tried=tried, until=1.0)
    if kind is failures.UpstreamUnreachable and body != "touched":
        assert repeat == Repeat(UNREACHABLE, 1.0, error)
    elif (
        kind is failures.KeptConnectionLost
        and method in {"GET", "HEAD"}
        and body in {"none", "kept"}
        and LOST not in before
    ):
        assert repeat == Repeat(STALE, 1.0, error)
    else:
        assert repeat is None


@given(st.sampled_from([ValueError, failures.ClientLeft, KeyboardInterrupt, OSError]), METHODS)
def test_what_is_no_failure_of_the_upstream_ends_it(kind: type[BaseException], method: str) -> None:
    """A client that left, an interrupt or a bug is not tried again."""
    assert repeat_after(kind(), method=method, body=None, tried=[Attempt(0)], until=1.0) is None


@given(st.floats(1e3, 1e6))
def test_time_that_is_left(seconds: float) -> None:
    """It runs out on the clock of attempts."""
    now = time.perf_counter()
    assert 0 < Repeat(STALE, now + seconds).left <= seconds
    assert Repeat(STALE, now - seconds).left <= -seconds + 1e-6
