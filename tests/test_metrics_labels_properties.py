"""Label values come from closed sets whatever peers send, and children of a metric are bounded."""

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter

from gateway.failures import OF_THE_APP, REGISTRY
from gateway.metrics.labels import (
    ERROR_CLASSES,
    JOB_STATUSES,
    MAX_FOUND,
    METHODS,
    OTHER,
    OTHER_HTTP,
    ErrorCodes,
    Found,
    Kept,
    coarse_error_type,
    job_status,
    one_of,
    status,
)

KNOWN = frozenset({"JobLimitReached", "Conflict"})
CODES = ErrorCodes(known=KNOWN, gateway=frozenset(REGISTRY))
TEXTS = (
    st.text()
    | st.sampled_from([*METHODS, *REGISTRY, *KNOWN, "400", "404", "499", "599", "700", "4044", "running", ""])
    | st.integers(0, 10**6).map(str)
)


@given(TEXTS)
def test_every_label_is_of_its_set(value: str) -> None:
    """A known value is itself, any other the one name for others; folding twice changes nothing."""
    for kind, statuses in JOB_STATUSES.items():
        assert job_status(kind, value) == (value if value in statuses else "unknown")
    assert one_of(KNOWN, value) == (value if value in KNOWN else OTHER)
    assert CODES.fold(value) == (value if value in KNOWN | set(REGISTRY) else OTHER)
    assert CODES.fold(CODES.fold(value)) == CODES.fold(value)


@given(TEXTS | st.none())
def test_error_types_are_few(value: str | None) -> None:
    """Codes of the gateway's, registered statuses, two classes, `_OTHER` or nothing."""
    told = CODES.error_type(value)
    known = value is not None and (
        value in REGISTRY or (value.isascii() and value.isdigit() and status(int(value)) == value)
    )
    closed = {"", OTHER_HTTP, *ERROR_CLASSES.values()}
    assert told == value if known else told in closed
    coarse = coarse_error_type(told)
    assert coarse in {*closed, *OF_THE_APP}
    assert coarse == told or told not in closed


@given(st.none() | st.integers())
def test_statuses_are_registered_ones(code: int | None) -> None:
    """A status that nobody registered is `_OTHER`, and none is empty."""
    assert status(code) in {"", OTHER_HTTP, str(code)}
    assert (status(code) == "") == (code is None)
    if code is not None and not 100 <= code < 600:
        assert status(code) == OTHER_HTTP


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=60))
def test_children_are_bounded(asked: list[tuple[str, str]]) -> None:
    """However many combinations come, there are the children allowed and the coarse ones, and all counts."""
    registry = CollectorRegistry()
    parent = Counter("seen", "Seen.", ("one", "two"), registry=registry)
    kept = Kept(parent, limit=5, overflow=lambda values: ("other", values[1]))
    for values in asked:
        kept(*values).inc()
    samples = [
        sample for metric in registry.collect() for sample in metric.samples if sample.name == "seen_total"
    ]
    assert len(samples) <= 5 + 3
    assert sum(sample.value for sample in samples) == len(asked)


@given(st.lists(st.integers(0, 3 * MAX_FOUND)))
@example(list(range(MAX_FOUND + 5)))
def test_what_was_found_is_bounded_and_stays_right(keys: list[int]) -> None:
    """Whatever keys peers choose, and in whatever order, the same is found as without keeping any."""
    found = Found[int, str](str)
    for key in keys:
        assert found[key] == str(key)
        assert len(found) <= MAX_FOUND
