"""The state machine that always has a valid token, or knows why not and when it tries again.

    at_hand()   the token, where there is one
    current()   the token; waits only where there is none and a fetch is under way
    replace()   after a 401: another token than the one that was refused, if one can be had
    timer       asks for the successor ahead of expiry, and again after a failure

One fetch is under way at most (`_flight`). It is a task of the keeper's own, so a caller that is cancelled
takes nobody with it, and its context is empty, so its span belongs to no request. Everything runs on one
event loop, so state changes between two awaits are atomic; there is no lock.
"""

import asyncio
import contextvars
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import structlog

from gateway.failures import TokenUnavailable
from gateway.tokens import pace
from gateway.tokens.clock import Time, Timer
from gateway.tokens.token import (
    Reason,
    RefreshOutcome,
    SourceError,
    Token,
    TokenSource,
    TokenState,
    WatchedSource,
    ask,
)

_LONGEST_SLEEP = 3_600.0
"""Timers are cut to this and set again: event loops clip very long ones."""


@dataclass(frozen=True, slots=True)
class _Last:
    """How the last refresh ended; the error itself is not kept, its frames may hold the request."""

    result: Literal["success", "failure"]
    ended_on: float
    reason: Reason | None = None
    message: str = ""


def _tell_nobody(_: RefreshOutcome) -> None: ...


class Tokens:
    """Hands out the token of one source; see the module's docstring.

    `on_refresh` is told of each refresh; `around` gives the context (a span) in which each runs, and is
    called with the source's name. `forced_every` is the least time between two forced refreshes, seconds.
    """

    def __init__(
        self,
        source: TokenSource,
        *,
        time: Time | None = None,
        on_refresh: Callable[[RefreshOutcome], None] = _tell_nobody,
        around: Callable[[str], AbstractContextManager[object]] = nullcontext,
        forced_every: float = 30.0,
    ) -> None:
        self._source = source
        self._watched = source if isinstance(source, WatchedSource) else None
        self._time = time or Time()
        self._now = self._time.now
        self._on_refresh = on_refresh
        self._around = around
        self._forced_every = forced_every
        self._log = structlog.get_logger("gateway.tokens")
        self._token: Token | None = None
        self._flight: asyncio.Task[None] | None = None
        self._timer: Timer | None = None
        self._due = -math.inf
        self._force_from = -math.inf
        self._failures = 0
        self._last: _Last | None = None
        self._closed = False

    def start(self) -> None:
        """Begin the first fetch; nobody waits for it."""
        self._fly()

    async def current(self) -> Token:
        """The token to send; raises `TokenUnavailable` at once while the source is being backed off from."""
        return self.at_hand() or await self._next_token()

    def at_hand(self) -> Token | None:
        """The token to send, where nothing has to be waited for to have it."""
        token = self._token
        return token if token is not None and self._now() < token.usable_until else None

    async def replace(self, used: Token, *, claims: str | None = None) -> Token | None:
        """Another token than `used`, which the upstream refused with 401; None where none can be had.

        A caller whose token has been replaced meanwhile gets the current one without a fetch. Else one
        refresh is forced, at most one per `forced_every`, and shared by all callers. `claims` is the decoded
        JSON of a claims challenge.
        """
        flight, forced = self._flight, False
        while (token := self._other_than(used)) is None:
            if flight is None and not forced:
                flight, forced = self._force(claims), True
            if flight is None:
                return None
            await asyncio.wait((flight,))
            flight = self._flight
        return token

    async def aclose(self) -> None:
        """End the fetch under way and close the source; no token is fetched from now on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait((self._flight,))
        await self._source.aclose()

    @property
    def ready(self) -> bool:
        """Whether a valid token is at hand."""
        return self.at_hand() is not None

    def state(self) -> TokenState:
        """A snapshot for readiness and the status page."""
        token, last, now = self.at_hand(), self._last, self._now()
        finite = token is not None and token.expires_at < math.inf
        return TokenState(
            source=self._source.name,
            valid=token is not None,
            expires_in=token.expires_at - now if token is not None and finite else None,
            expires_on=token.expires_on if token is not None else None,
            refreshed_on=None if last is None else last.ended_on,
            result=None if last is None else last.result,
            reason=None if last is None or last.reason is None else str(last.reason),
            message=None if last is None else last.message or None,
            failures=self._failures,
            next_try_in=max(0.0, self._due - now) if math.isfinite(self._due) else None,
        )

    def _other_than(self, used: Token) -> Token | None:
        token = self.at_hand()
        return token if token is not None and token.value != used.value else None

    async def _next_token(self) -> Token:
        while (token := self.at_hand()) is None:
            if self._flight is None and (self._closed or self._backing_off()):
                raise self._unavailable()
            await asyncio.wait((self._fly(),))
        return token

    def _backing_off(self) -> bool:
        return self._failures > 0 and self._now() < self._due

    def _unavailable(self) -> TokenUnavailable:
        last = self._last
        if self._closed or last is None:
            return TokenUnavailable("The gateway is shutting down.", inner=str(Reason.CLOSED))
        return TokenUnavailable(
            f"No token can be had at the moment. {last.message}",
            inner=str(last.reason),
            # The clock goes on between the question and the answer.
            retry_after=max(0.0, self._due - self._now()),
        )

    def _force(self, claims: str | None) -> asyncio.Task[None] | None:
        if self._closed or self._now() < self._force_from or self._backing_off():
            return None
        self._force_from = self._now() + self._forced_every
        return self._fly(claims=claims, renew=True)

    def _fly(self, *, claims: str | None = None, renew: bool = False) -> asyncio.Task[None]:
        if self._flight is None:
            fetch = self._refresh(claims=claims, renew=renew)
            self._flight = asyncio.create_task(fetch, name="token refresh", context=contextvars.Context())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _refresh(self, *, claims: str | None, renew: bool) -> None:
        started = self._now()
        try:
            with self._around(self._source.name):
                fetched = await ask(self._source, claims=claims, renew=renew)
                token = pace.token_of(fetched, self._source.name, started, self._time)
        except SourceError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - a fault of `around` must not stop the refreshing
            self._failed(SourceError(Reason.INTERNAL, f"The refresh failed with {type(error).__name__}."))
        else:
            self._succeeded(token)
        self._arm()
        self._tell(self._now() - started)

    def _succeeded(self, token: Token) -> None:
        self._token = token
        self._due = min(token.refresh_at, token.usable_until)
        if self._failures:
            self._log.info("token refresh recovered", source=self._source.name, failures=self._failures)
        self._failures = 0
        self._last = _Last("success", self._time.wall())

    def _failed(self, error: SourceError) -> None:
        """The token at hand stays in use until it expires."""
        self._failures += 1
        self._due = self._now() + pace.backoff(self._failures, error.retry_after, self._time.chance)
        self._last = _Last("failure", self._time.wall(), error.reason, error.message)
        if self._failures == 1:
            self._log.warning(
                "token refresh fails, and is tried again until it works",
                source=self._source.name,
                reason=str(error.reason),
                error=error.message,
                token_valid=self.ready,
            )

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        poll = math.inf if self._watched is None else self._watched.poll
        delay = min(self._due - self._now(), poll)
        if not self._closed and delay < math.inf:
            self._timer = self._time.call_later(max(0.0, min(delay, _LONGEST_SLEEP)), self._wake)

    def _wake(self) -> None:
        due = self._now() >= self._due
        if due or (self._watched is not None and self._watched.changed()):
            self._fly()
        else:
            self._arm()

    def _tell(self, took: float) -> None:
        if self._last is not None:
            expires_on = None if self._token is None else self._token.expires_on
            self._on_refresh(RefreshOutcome(self._source.name, self._last.result, took, expires_on))
