"""Times, durations and numbers for people; text from outside made harmless. Times are UTC.

`page.js` counts with `duration` between two answers: the two must say the same.
"""

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_EXACT = 10
"""Seconds below which tenths matter."""
NONE = "\N{EN DASH}"


def iso(seconds: float) -> str:
    """The instant for a machine; empty where no calendar has it."""
    moment = _moment(seconds)
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def clock(seconds: float, now: float) -> str:
    """The instant as a time of day, with its date where that is not today's."""
    moment, today = _moment(seconds), _moment(now)
    if moment is None:
        return NONE
    same_day = today is not None and moment.date() == today.date()
    return f"{moment:%H:%M:%S}" if same_day else f"{moment:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """Whole seconds in the two largest units: `7 s`, `3 min 05 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY:,} d {whole % _DAY // _HOUR} h"


def brief(seconds: float) -> str:
    """The same without a second unit that says nothing: `10 min`, `2 h 05 min`."""
    text = duration(seconds)
    for nothing in (" 00 s", " 00 min", " 0 h"):
        text = text.removesuffix(nothing)
    return text


def took(seconds: float) -> str:
    """A duration that is over: with tenths where it is short."""
    return f"{seconds:.1f} s" if seconds < _EXACT else duration(seconds)


def latency(seconds: float | None) -> str:
    """`0.8 ms`, `48 ms`, `1.25 s`."""
    if seconds is None:
        return NONE
    if seconds >= 1:
        return f"{seconds:.2f} s" if seconds < _EXACT else f"{seconds:.0f} s"
    milliseconds = seconds * 1_000
    return f"{milliseconds:.1f} ms" if milliseconds < _EXACT else f"{milliseconds:.0f} ms"


def percent(part: float, whole: float) -> str:
    """The share in per cent; a small one is not rounded to nothing."""
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1:  # noqa: PLR2004 - the smallest share that one decimal tells
        return "< 0.1 %"
    return f"{share:.0f} %" if share == round(share) else f"{share:.1f} %"


def visible(text: object) -> str:
    r"""The text with every character that does not print as `\x1b` and the like.

    Bidirectional controls are among them: they would let an id rearrange what stands beside it.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, limit: int = 40) -> str:
    """The text, with its middle left out where it is longer than the limit: ids differ at both ends."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}…{text[-half:]}"


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
