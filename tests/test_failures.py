"""The table of the gateway's own errors: names, statuses and the rule for writes, as users rely on them."""

import pytest

from gateway import failures
from gateway.failures import NOT_REPEATABLE, REGISTRY, GatewayError

# The contract: code, status, status of a POST that was sent, Retry-After.
CONTRACT = (
    ("GatewayUpstreamUnreachable", 503, 503, True),
    ("GatewayUpstreamTimeout", 504, 502, False),
    ("GatewayUpstreamConnectionLost", 502, 502, False),
    ("GatewayBadUpstreamResponse", 502, 502, False),
    ("GatewayTokenUnavailable", 503, 503, True),
    ("GatewayCircuitOpen", 503, 503, True),
    ("GatewayOverloaded", 503, 503, True),
    ("GatewayDraining", 503, 503, True),
    ("GatewayRateLimited", 429, 429, True),
    ("GatewayRequestInvalid", 400, 400, False),
    ("GatewayRequestTooLarge", 413, 413, False),
    ("GatewayRequestTimeout", 408, 408, False),
    ("GatewayUnauthorized", 401, 401, False),
    ("GatewayMisdirected", 421, 421, False),
    ("GatewayForbidden", 403, 403, False),
    ("GatewayMethodNotAllowed", 405, 405, False),
    ("GatewayInternal", 500, 502, False),
)
WRITES = ("POST", "PATCH")
OTHERS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PURGE")


def _classes(base: type[GatewayError] = GatewayError) -> list[type[GatewayError]]:
    return [each for sub in base.__subclasses__() for each in (sub, *_classes(sub))]


CLASSES = _classes()


@pytest.mark.parametrize(("code", "status", "write_status", "retry_after"), CONTRACT)
def test_rows_are_the_contracts(code: str, *, status: int, write_status: int, retry_after: bool) -> None:
    """Each code keeps its status, its status for sent writes and its Retry-After."""
    row = REGISTRY[code]
    assert (row.name, row.status, row.retry_after) == (code, status, retry_after)
    assert (row.write_status or row.status) == write_status


def test_table_has_no_other_rows() -> None:
    """The table is the contract's for this version, each code once."""
    assert list(REGISTRY) == [code for code, *_ in CONTRACT]
    assert all(row.when.endswith(".") for row in REGISTRY.values())


def test_every_class_has_a_row_and_every_row_a_class() -> None:
    """No failure is without a row of the table, and no row without a failure."""
    assert {each.code for each in CLASSES} == set(REGISTRY)
    direct = GatewayError.__subclasses__()
    assert len({each.code for each in direct}) == len(direct)


def test_tree_of_the_docstring_is_complete() -> None:
    """The module's own map names every class below GatewayError."""
    for each in GatewayError.__subclasses__():
        assert f"─ {each.__name__} " in str(failures.__doc__)


@pytest.mark.parametrize("method", [*WRITES, *OTHERS])
@pytest.mark.parametrize(("code", "status", "write_status", "retry_after"), CONTRACT)
def test_status_follows_method_and_what_was_sent(
    method: str, code: str, *, status: int, write_status: int, retry_after: bool
) -> None:
    """Only a POST or PATCH of which something was sent gets the status an SDK does not repeat."""
    failure = next(each for each in GatewayError.__subclasses__() if each.code == code)("x")
    assert failure.status(method, sent=False) == status
    assert failure.status(method, sent=True) == (write_status if method in WRITES else status)


@pytest.mark.parametrize("code", REGISTRY)
def test_sent_write_never_invites_a_repeat(code: str) -> None:
    """A POST or PATCH that was sent never gets 500 or 504, and 429 or 503 only where nothing can be sent."""
    row = REGISTRY[code]
    for method in NOT_REPEATABLE:
        status = next(each for each in GatewayError.__subclasses__() if each.code == code)("x").status(
            method, sent=True
        )
        assert status not in {500, 504}
        assert status not in {429, 503} or row.retry_after


def test_retry_after_is_for_the_unsent_alone() -> None:
    """Only 503 and 429, which prove that nothing was sent, carry Retry-After, and each of them does."""
    assert all((row.status in {429, 503}) == row.retry_after for row in REGISTRY.values())


def test_headers_too_large_is_431() -> None:
    """A head over the limit has its own status under the code of a body over the limit."""
    failure = failures.HeadersTooLarge("x")
    assert failure.code == "GatewayRequestTooLarge"
    assert {failure.status(method, sent=False) for method in (*WRITES, *OTHERS)} == {431}


@pytest.mark.parametrize("each", CLASSES)
def test_failure_keeps_what_it_was_given(each: type[GatewayError]) -> None:
    """Message, finer cause and delay are there for the one place that renders them."""
    failure = each("why", inner="Cause", retry_after=2)
    assert (str(failure), failure.message, failure.inner, failure.retry_after) == ("why", "why", "Cause", 2)
    assert (each("why").inner, each("why").retry_after) == (None, None)


def test_registry_cannot_be_changed() -> None:
    """The table is read-only."""
    with pytest.raises(TypeError):
        REGISTRY["x"] = REGISTRY["GatewayInternal"]  # type: ignore[index]


@pytest.mark.parametrize("each", [failures.ClientLeft, failures.ResponseCut])
def test_endings_without_an_answer_are_no_gateway_errors(each: type[Exception]) -> None:
    """A client that left and a response that was cut are never rendered."""
    assert not issubclass(each, GatewayError)
