"""Retry-After in all its spellings: a wait from 0 to 300 seconds, or nothing."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.retry_after import LONGEST, seconds

NAMES = (b"retry-after-ms", b"x-ms-retry-after-ms", b"retry-after")
NUMBERS = st.from_regex(rb"[ \t]?-?[0-9]{1,12}(\.[0-9]{1,4})?[ \t]?", fullmatch=True)
VALUES = st.binary(max_size=12) | NUMBERS
HEADERS = st.lists(st.tuples(st.sampled_from([*NAMES, b"retry", b"date"]), VALUES), max_size=5)


@given(HEADERS, st.floats(0, 1e11))
@example([(b"retry-after", b"9" * 400)], 0.0)
@example([(b"retry-after", b"\xc2\xb2")], 0.0)
def test_any_headers(headers: list[tuple[bytes, bytes]], now: float) -> None:
    """Bounded, finite, and the first that can be understood in the order of the finer names."""
    wait = seconds(headers, now)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= LONGEST)
    numbers = {
        name: [each for value in of(headers, name) if (each := number(value)) is not None] for name in NAMES
    }
    for name, scale in zip(NAMES, (1000, 1000, 1), strict=True):
        if name == b"retry-after" and not all(number(value) is not None for value in of(headers, name)):
            return  # dates have a test of their own
        if numbers[name]:
            assert wait == min(300.0, max(0.0, numbers[name][0] / scale))
            return
    assert wait is None


def of(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def number(value: bytes) -> float | None:
    text = value.strip(b" \t")
    digits = text.removeprefix(b"-")
    whole, dot, rest = digits.partition(b".")
    plain = all(part and set(part) <= set(b"0123456789") for part in ((whole, rest) if dot else (whole,)))
    return float(text) if plain else None


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_around_a_number(name: bytes) -> None:
    """Blanks are white space, digits and one point belong to the number, anything else makes it none."""
    for code in range(256):
        byte = bytes([code])
        for value in (byte + b"7", b"7" + byte, b"7" + byte + b"7", b"7." + byte, b"7.7" + byte + b"7"):
            expected = number(value)
            wait = seconds([(name, value)], 0.0)
            if expected is None:
                assert wait is None, value
            else:
                assert wait == min(300.0, max(0.0, expected / (1 if name == b"retry-after" else 1000))), value


@given(
    st.integers(0, 4_102_444_800), st.integers(-1_000, 1_000), st.sampled_from(["IMF", "RFC 850", "asctime"])
)
def test_dates_in_three_forms(now: int, ahead: int, form: str) -> None:
    """All forms of an HTTP date mean the same instant, in UTC."""
    moment = datetime.fromtimestamp(now + ahead + 1_000, UTC)
    if form == "RFC 850" and not 1970 <= moment.year <= 2068:
        return  # two digits of a year
    text = {
        "IMF": format_datetime(moment, usegmt=True),
        "RFC 850": f"{moment:%A, %d-%b-%y %H:%M:%S} GMT",
        "asctime": f"{moment:%a %b %d %H:%M:%S %Y}",
    }[form]
    assert seconds([(b"retry-after", text.encode())], now + 1_000.0) == min(300, max(0, ahead))


def test_bounds() -> None:
    """300 seconds are believed; the first that is understood counts, and a wrong one is passed over."""
    assert LONGEST == 300.0
    assert seconds([(b"retry-after", b"300")], 0) == 300
    assert seconds([(b"retry-after", b"301")], 0) == 300
    assert seconds([(b"retry-after", b"x"), (b"retry-after", b"2")], 0) == 2
    assert (
        seconds([(b"retry-after-ms", b"x"), (b"x-ms-retry-after-ms", b"1500"), (b"retry-after", b"9")], 0)
        == 1.5
    )
    assert seconds([(b"retry-after", b"Thu, 01 Jan 1970 00:01:00 +0100")], 0) == 0
    assert seconds([], 0) is None
