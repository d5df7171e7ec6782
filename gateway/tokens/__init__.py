"""Hand out a valid token: one state machine, several sources.

    token.py     the token, what a source gives, and every reason a source can fail for
    keeper.py    `Tokens`, the state machine: single flight, refresh ahead of expiry, backoff, the 401 flow
    clock.py     the keeper's clocks, timer and random source
    pace.py      when to refresh, when to stop using a token, how long to back off; pure functions
    claims.py    what issuers say about time: expires_in, expires_on, a JWT's exp, Retry-After; pure functions
    challenge.py what a 401 of the upstream asks of the next token; a pure function
    secret.py    a secret from the configuration or from a file, masked
    oauth2.py    source: client credentials with any issuer
    entra.py     source: Microsoft Entra ID through azure-identity
    unreachable.py  why an issuer cannot be reached, of a client's exceptions
    file.py      source: a file that something else keeps fresh
    static.py    source: a fixed token
    sources.py   the configured source

The modes `passthrough` and `none` have no source and no state machine.
"""

from gateway.tokens.challenge import claims_asked_for
from gateway.tokens.clock import Time
from gateway.tokens.keeper import Tokens
from gateway.tokens.sources import open_source
from gateway.tokens.token import (
    FetchedToken,
    Reason,
    RefreshOutcome,
    SourceError,
    Token,
    TokenSource,
    TokenState,
)

__all__ = [
    "FetchedToken",
    "Reason",
    "RefreshOutcome",
    "SourceError",
    "Time",
    "Token",
    "TokenSource",
    "TokenState",
    "Tokens",
    "claims_asked_for",
    "open_source",
]
