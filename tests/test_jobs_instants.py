"""Times on the wire and instants."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.jobs.instants import NANOSECONDS, format_instant, parse_instant

NEW_YEAR_2022 = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp()) * NANOSECONDS


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        ("2022-01-01T00:00:00.0000000+00:00", 0),
        ("2022-01-01T00:00:00Z", 0),
        ("2022-01-01T00:00:00", 0),
        ("2022-01-01T00:00:00.0000001Z", 100),
        ("2022-01-01T00:00:00.123456789123Z", 123_456_789),
        ("2022-01-01T02:30:00.5+02:30", 500_000_000),
        ("2021-12-31T22:00:00-02:00", 0),
    ],
)
def test_forms_of_a_time(text: str, beyond: int) -> None:
    """Seven decimals, `Z`, offsets and no decimals all name the instant they mean, to the nanosecond."""
    assert parse_instant(text) == NEW_YEAR_2022 + beyond


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        17,
        1.5e9,
        True,
        [],
        {},
        "yesterday",
        "2022-01-01",
        "20220101T000000Z",
        "2022-W01-1T00:00:00Z",
        "2022-02-30T00:00:00Z",
        "2022-13-01T00:00:00Z",
        "2022-01-01T25:00:00Z",
        "2022-01-01T00:61:00Z",
        "2022-01-01T00:00:00+99:00",
        "٢٠٢٢-01-01T00:00:00Z",
        " 2022-01-01T00:00:00Z",
        "2022-01-01T00:00:00Z\n",
        "0001-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.9999999Z",
    ],
)
def test_absurd_times(value: object) -> None:
    """What is no time, or none that a job can have, counts as absent."""
    assert parse_instant(value) is None


@given(st.text())
def test_any_text(text: str) -> None:
    """No text makes the parser raise."""
    assert parse_instant(text) is None or isinstance(parse_instant(text), int)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 (bounds are naive by contract)
    st.integers(0, 9),
)
def test_round_trip(moment: datetime, tick: int) -> None:
    """An instant written with seven decimals reads as the same instant."""
    seconds = int(moment.replace(microsecond=0).timestamp())
    instant = seconds * NANOSECONDS + moment.microsecond * 1_000 + tick * 100
    assert parse_instant(format_instant(instant)) == instant
