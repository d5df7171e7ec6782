"""Times of the Jobs API as instants: whole nanoseconds since the epoch, UTC.

The service writes seven decimals (100 ns ticks) and an offset or `Z`; floats and microseconds would merge
instants that differ.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

NANOSECONDS = 1_000_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(2000, 2200)
_LONGEST = 64
"""Characters of a time: 19, 33 of a fraction, 6 of an offset."""
# datetime reads more forms than RFC 3339 (weeks, missing seconds) and drops what follows the microseconds.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,32}))?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


def parse_instant(value: object) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time; a time without an offset is UTC.

    None for what is absent, not a time, before 2000 (`0001-01-01` stands for "not set") or after 2199
    (`9999-12-31` stands for "never").
    """
    return _parse(value) if isinstance(value, str) and len(value) <= _LONGEST else None


@lru_cache(maxsize=1_024)
def _parse(text: str) -> int | None:
    """Kept, because every poll of a job repeats its times: reading them is half of what an answer costs."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[0])
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    fraction = match[1]
    nanoseconds = int(fraction[:9].ljust(9, "0")) if fraction else 0
    return (since.days * 86_400 + since.seconds) * NANOSECONDS + nanoseconds


def format_instant(instant: int) -> str:
    """The instant as the service writes it: seven decimals, ending in `Z`."""
    seconds, rest = divmod(instant, NANOSECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 100:07d}Z"
