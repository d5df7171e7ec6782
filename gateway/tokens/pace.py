"""When to refresh, when to stop using a token, how long to back off; pure functions, seconds throughout."""

import math
import random

from gateway.retry_after import LONGEST
from gateway.tokens.clock import Time
from gateway.tokens.token import FetchedToken, Reason, SourceError, Token

ASSUMED_LIFE = 300.0
"""Life of a token whose source does not say."""
LONGEST_LIFE = 366 * 86_400.0
"""Longer lives are not believed: they would overflow dates, and be mistakes."""
LONGEST_LEEWAY = 5.0
SHORTEST_WAIT = 0.5
"""Between two scheduled refreshes, so that no answer of an issuer makes the gateway hammer it."""
SHORTEST_BACKOFF = 1.0
LONGEST_BACKOFF = 30.0


def life(expires_in: float | None) -> float:
    """How long a token lives from the moment it was asked for; infinite if it never expires."""
    if expires_in is None:
        return ASSUMED_LIFE
    return expires_in if expires_in == math.inf else min(expires_in, LONGEST_LIFE)


def leeway(seconds: float) -> float:
    """How long before its end a token of this life is no longer used: it must still be valid on arrival."""
    return min(LONGEST_LEEWAY, seconds / 20)


def refresh_delay(seconds: float, refresh_in: float | None, chance: random.Random) -> float:
    """When to ask for the successor of a token of this life: the issuer's wish, else half-life.

    Jitter only makes it earlier, by up to a tenth: many gateways started together must not ask together.
    """
    wish = refresh_in if refresh_in is not None and refresh_in > 0 else seconds / 2
    if wish == math.inf:
        return math.inf
    if wish >= seconds:
        wish = seconds / 2
    return max(SHORTEST_WAIT, wish * chance.uniform(0.9, 1.0))


def backoff(failures: int, retry_after: float | None, chance: random.Random) -> float:
    """How long to wait after this many failures in a row; the pause an issuer asks for may make it longer."""
    ceiling = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2.0 ** min(failures, 10))
    pause = chance.uniform(SHORTEST_BACKOFF, ceiling)
    return pause if retry_after is None else max(pause, min(retry_after, LONGEST))


def token_of(fetched: FetchedToken, source: str, started: float, time: Time) -> Token:
    """The token in use, out of what a source gave; raises `SourceError` if it has expired already.

    Its life counts from `started`, before the request: the issuer's own clock started later than that.
    """
    seconds = life(fetched.expires_in)
    now, expires_at = time.now(), started + seconds
    usable_until = math.inf if seconds == math.inf else expires_at - leeway(seconds)
    if usable_until <= now:
        raise SourceError(Reason.TOKEN_EXPIRED, "The source gave a token that has already expired.")
    return Token(
        value=fetched.value,
        source=source,
        expires_at=expires_at,
        usable_until=usable_until,
        refresh_at=started + refresh_delay(seconds, fetched.refresh_in, time.chance),
        expires_on=None if expires_at == math.inf else time.wall() + expires_at - now,
    )
