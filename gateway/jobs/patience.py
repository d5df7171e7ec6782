"""How long a caller waits for its turn at the Jobs API."""

import re
from typing import Final

from gateway.exchange import RawHeaders

_WAIT: Final = re.compile(rb'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)


def patience(headers: RawHeaders, longest: float) -> float:
    """Seconds: `longest`, or less where the caller says so with `Prefer: wait=N` (RFC 7240, section 4.3)."""
    for name, value in headers:
        if name != b"prefer":
            continue
        for preference in value.split(b","):
            # A preference may have parameters after a semicolon; `wait` has none.
            match = _WAIT.fullmatch(preference.partition(b";")[0].strip())
            if match is not None:
                return min(longest, float(match[1]))
    return longest
