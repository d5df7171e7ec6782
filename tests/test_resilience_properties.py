"""What an attempt says of the upstream, whatever came of it."""

from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.exchange import Attempt
from gateway.failures import REGISTRY
from gateway.resilience.verdict import is_well, verdict

OF_THE_UPSTREAM = {
    failures.UpstreamUnreachable.code,
    failures.UpstreamTimeout.code,
    failures.UpstreamConnectionLost.code,
    failures.BadUpstreamResponse.code,
}
ERRORS = st.none() | st.sampled_from(sorted(REGISTRY)) | st.text(max_size=5) | st.integers(400, 599).map(str)


@given(st.none() | st.integers(100, 999), ERRORS, st.booleans())
def test_only_the_upstreams_own_failures_count(
    status: int | None, error: str | None, cancelled: bool
) -> None:
    """No answer of it, or 5xx that no request asks for, is a failure; a client that left says nothing."""
    attempt = Attempt(0, started=0.0, status=status)
    attempt.error_type, attempt.cancelled = error, cancelled
    said = verdict(attempt)
    if error in OF_THE_UPSTREAM:
        assert said is False
    elif cancelled or status is None:
        assert said is None
    else:
        assert said is (status < 500 or status in {501, 505}) is is_well(status)
