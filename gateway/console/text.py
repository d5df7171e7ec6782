"""Values as text for a terminal.

Ids and codes come from outside: a control character among them could move the cursor, recolour or retitle
the terminal, or show text in another order than it has.
"""

import math
from datetime import UTC, datetime
from typing import Final

ABSENT: Final = "-"
"""Stands for a value that is not known."""

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_EXACT_BELOW: Final = 10
"""Seconds below which a tenth matters."""


def printable(text: str, limit: int = 512) -> str:
    """The text on one line, with escapes for what does not print, cut after `limit` characters."""
    if len(text) > limit:
        text = f"{text[:limit]}…"
    return text if text.isprintable() else "".join(map(_escaped, text))


def length(seconds: float | None) -> str:
    """A length of time in its two largest units: `4.2 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < _EXACT_BELOW:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def moment(at: float | None, *, exact: bool = False) -> str:
    """A time in seconds since the epoch as date and time in UTC; `exact` adds milliseconds and the zone."""
    if at is None:
        return ABSENT
    time = datetime.fromtimestamp(at, UTC)
    text = f"{time:%Y-%m-%d %H:%M:%S}"
    return f"{text}.{time.microsecond // 1000:03d} UTC" if exact else text


def iso(at: float | None) -> str | None:
    """The same for programs, as the gateway's API writes times."""
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
