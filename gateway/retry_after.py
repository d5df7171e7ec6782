"""How long a response asks its reader to wait before the next request; pure functions."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.exchange import RawHeaders

LONGEST: Final = 300.0
"""Seconds that are believed."""

_MILLISECONDS: Final = (b"retry-after-ms", b"x-ms-retry-after-ms")
_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")


def seconds(headers: RawHeaders, now: float) -> float | None:
    """Seconds from 0 to 300; None where no header says it, or none can be understood.

    The finer `retry-after-ms` and `x-ms-retry-after-ms`, which Azure services send, go before `Retry-After`
    (RFC 9110, section 10.2.3). `now` is the wall clock in seconds since the epoch, for dates.
    """
    for wanted in _MILLISECONDS:
        for name, value in headers:
            if name == wanted and (number := _number(value)) is not None:
                return _bounded(number / 1_000)
    for name, value in headers:
        if name == b"retry-after":
            number = _number(value)
            if number is None:
                number = _until(value, now)
            if number is not None:
                return _bounded(number)
    return None


def _number(value: bytes) -> float | None:
    text = value.strip(b" \t")
    return float(text) if _NUMBER.fullmatch(text) else None


def _until(value: bytes, now: float) -> float | None:
    """Seconds until an HTTP date, in any of its three forms (RFC 9110, section 5.6.7)."""
    try:
        moment = parsedate_to_datetime(value.decode("ascii"))
        return _utc(moment).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _utc(moment: datetime) -> datetime:
    # The oldest form, that of asctime, names no zone; all of them are in UTC.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _bounded(number: float) -> float:
    return min(LONGEST, max(0.0, number))
