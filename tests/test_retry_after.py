"""How long a response asks to wait: every spelling, and what is none."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.exchange import RawHeaders
from gateway.retry_after import seconds

NOW = 784_111_777.0
"""Sun, 06 Nov 1994 08:49:37 GMT."""


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own time is not UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (b"0", 0.0),
        (b"1", 1.0),
        (b"120", 120.0),
        (b" 7\t", 7.0),
        (b"1.5", 1.5),
        (b"-5", 0.0),
        (b"300", 300.0),
        (b"301", 300.0),
        (b"9" * 400, 300.0),
        (b"007", 7.0),
    ],
)
def test_seconds(value: bytes, wait: float) -> None:
    """A number is so many seconds, never less than 0 nor more than 300."""
    assert seconds([(b"retry-after", value)], NOW) == wait


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (b"Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        (b"Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
        (b"Sun Nov  6 08:50:07 1994", 30.0),
        (b"Sun, 06 Nov 1994 09:50:07 +0100", 30.0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        (b"Sun, 06 Nov 1994 08:49:00 GMT", 0.0),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
    ],
)
def test_dates(value: bytes, wait: float, far_east: None) -> None:
    """A date, in any of HTTP's three forms, is the time from now until then, wherever the gateway runs."""
    assert seconds([(b"retry-after", value)], NOW) == wait


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"soon",
        b"1s",
        b"1,5",
        b"+5",
        b"1e2",
        b"1_0",
        b"inf",
        b"nan",
        b"0x10",
        b"--1",
        b".5",
        b"5.",
        b"1\n",
        "\u0665".encode(),
        b"\xff",
        b"Sun, 36 Nov 1994 08:50:07 GMT",
        b"Sun, 06 Nov 1994",
        b"06 Nov 99999999999999999999 08:50:07 GMT",
    ],
)
def test_what_cannot_be_understood_says_nothing(value: bytes) -> None:
    """A malformed value counts as absent, in every header."""
    for name in (b"retry-after", b"retry-after-ms", b"x-ms-retry-after-ms"):
        assert seconds([(name, value)], NOW) is None


def test_dates_are_no_milliseconds() -> None:
    """Only `Retry-After` may be a date."""
    assert seconds([(b"retry-after-ms", b"Sun, 06 Nov 1994 08:50:07 GMT")], NOW) is None


@pytest.mark.parametrize("name", [b"retry-after-ms", b"x-ms-retry-after-ms"])
@pytest.mark.parametrize(
    ("value", "wait"), [(b"0", 0.0), (b"1500", 1.5), (b"0.5", 0.0005), (b"-1", 0.0), (b"600000", 300.0)]
)
def test_milliseconds(name: bytes, value: bytes, wait: float) -> None:
    """The headers of Azure services count in thousandths of a second."""
    assert seconds([(name, value)], NOW) == wait


def test_the_finer_header_goes_first() -> None:
    """Milliseconds go before seconds, being finer; a malformed value is passed over."""
    headers: RawHeaders = [
        (b"retry-after", b"9"),
        (b"x-ms-retry-after-ms", b"8000"),
        (b"retry-after-ms", b"7000"),
    ]
    assert seconds(headers, NOW) == 7
    assert seconds(headers[:2], NOW) == 8
    assert seconds(headers[:1], NOW) == 9
    assert seconds([*headers[:1], (b"retry-after-ms", b"soon")], NOW) == 9


def test_the_first_that_can_be_understood_counts() -> None:
    """Of several lines of one header the first well-formed one is meant."""
    assert seconds([(b"retry-after", b"soon"), (b"retry-after", b"3"), (b"retry-after", b"5")], NOW) == 3


def test_no_header_says_nothing() -> None:
    """A response without any of the headers asks for nothing."""
    assert seconds([(b"retry-after-seconds", b"5"), (b"date", b"5")], NOW) is None


@given(st.lists(st.tuples(st.sampled_from([b"retry-after", b"retry-after-ms", b"x-other"]), st.binary())))
@example([(b"retry-after", b"Mon, 1 Jan 0 0:0:0")])
@example([(b"retry-after", b"1 Jan 1 0:0:0 +2400")])
@example([(b"retry-after", b"1 Jan 2000 0:0:0 +9999999999")])
def test_any_bytes_are_a_wait_or_none(headers: RawHeaders) -> None:
    """Whatever stands there, the wait is from 0 to 300 seconds or unknown, and nothing is raised."""
    wait = seconds(headers, NOW)
    assert wait is None or 0 <= wait <= 300


@given(st.text("0123456789 :,-+GMTUZJanFebSunMon"))
def test_anything_like_a_date_is_a_wait_or_none(text: str) -> None:
    """Text made of the parts of a date is read without an exception."""
    wait = seconds([(b"retry-after", text.encode())], NOW)
    assert wait is None or 0 <= wait <= 300


@given(st.integers(0, 2**32), st.integers(-400, 400))
def test_a_date_is_read_back(now: int, ahead: int) -> None:
    """Any date this or next century means the seconds until then."""
    date = format_datetime(datetime.fromtimestamp(now + ahead + 400, UTC), usegmt=True)
    assert seconds([(b"retry-after", date.encode())], now + 400.0) == min(300, max(0, ahead))
