"""The token, what a source gives, and every reason a source can fail for."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token in use; the instants are seconds of the keeper's monotonic clock."""

    value: str = field(repr=False)
    source: str
    expires_at: float
    """When the issuer stops honouring it; infinite where it never does."""
    usable_until: float
    """When the gateway stops using it: a little before `expires_at`."""
    refresh_at: float
    """When a successor is asked for."""
    expires_on: float | None
    """Wall clock at `expires_at`, seconds since the epoch; for people and metrics, never for decisions."""


@dataclass(frozen=True, slots=True)
class FetchedToken:
    """What a source gives; all times are seconds from now."""

    value: str = field(repr=False)
    expires_in: float | None
    """None where the source does not know; infinite for a token that does not expire."""
    refresh_in: float | None = None
    """When the issuer wants to be asked again; infinite where asking again brings nothing new."""


class Reason(StrEnum):
    """Why there is no token: the `innererror.code` of `GatewayTokenUnavailable`."""

    ISSUER_UNREACHABLE = "IssuerUnreachable"
    """Name resolution, connect or TLS failed, or the connection broke."""
    ISSUER_TIMEOUT = "IssuerTimeout"
    """No answer within `auth.timeout`."""
    ISSUER_STATUS = "IssuerStatus"
    """A status that is neither success nor an OAuth error (5xx, 429, a redirect, …)."""
    ISSUER_RESPONSE = "IssuerResponse"
    """A success without a usable token: not JSON, too large, no access_token, or not a bearer token."""
    INVALID_CLIENT = "InvalidClient"
    """The issuer does not accept the client's credentials."""
    REFUSED = "Refused"
    """Any other OAuth error (RFC 6749, section 5.2)."""
    CREDENTIAL_UNAVAILABLE = "CredentialUnavailable"
    """A credential is not set up in this place: a value is missing, no metadata endpoint, not logged in."""
    SECRET_UNREADABLE = "SecretUnreadable"  # noqa: S105 - a reason's name
    """The secret's file is missing, empty or not text."""
    FILE_UNREADABLE = "TokenFileUnreadable"
    """The token's file is missing, empty or not in a known form."""
    TOKEN_MALFORMED = "TokenMalformed"  # noqa: S105 - a reason's name
    """The token has bytes that a header must not carry."""
    TOKEN_EXPIRED = "TokenExpired"  # noqa: S105 - a reason's name
    """The source gave a token that has already expired."""
    INTERNAL = "Internal"
    """A bug in a source."""
    CLOSED = "Closed"
    """The gateway is shutting down."""


class SourceError(Exception):
    """A source gave no token.

    `message` reaches the app and the log: it holds no secret, no token and no text of the issuer's.
    `retry_after` is what the issuer asked for, seconds.
    """

    def __init__(self, reason: Reason, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class TokenSource(Protocol):
    """Where tokens come from."""

    name: str
    """`oauth2`, `entra`, `file` or `static`: a metric label."""

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:
        """Ask for a token within `auth.timeout`; raises `SourceError`.

        `claims` answers a claims challenge (decoded JSON); `renew` says that the last token was refused, so
        no cache may answer.
        """

    async def aclose(self) -> None:
        """Give back what is held."""


async def ask(source: TokenSource, *, claims: str | None, renew: bool) -> FetchedToken:
    """Fetch from `source`; whatever else it raises becomes a `SourceError` too."""
    try:
        return await source.fetch(claims=claims, renew=renew)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug in a source must not end the refreshing
        bug = type(error).__name__
    # Raised outside the handler: a library's exception may hold the request, and so the secret.
    raise SourceError(Reason.INTERNAL, f"The token source failed with {bug}.")


@runtime_checkable
class WatchedSource(TokenSource, Protocol):
    """A source that can tell cheaply that there is something new."""

    poll: float
    """Seconds between two looks."""

    def changed(self) -> bool:
        """Whether a fetch would now give something else than the last one did."""


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """One refresh, as the metrics tell it."""

    source: str
    result: Literal["success", "failure"]
    seconds: float
    expires_on: float | None
    """Expiry of the token now held, seconds since the epoch; None without one, or if it never expires."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """What readiness and the status page show; durations are seconds, `_on` is seconds since the epoch."""

    source: str
    valid: bool
    expires_in: float | None
    """None without a valid token, or if it never expires."""
    expires_on: float | None
    refreshed_on: float | None
    """When the last refresh ended; None before the first."""
    result: Literal["success", "failure"] | None
    reason: str | None
    """Why the last refresh failed."""
    message: str | None
    failures: int
    """Refreshes that failed since the last success."""
    next_try_in: float | None
    """None where no further refresh is due."""
