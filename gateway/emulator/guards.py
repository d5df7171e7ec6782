"""What a request must pass before its operation runs: token, api-version, rate."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.emulator.exchange import Call, ServiceError
from gateway.emulator.issuer import ForeignTenant, TokenRefused
from gateway.emulator.routing import Guard
from gateway.emulator.settings import AUDIENCE

API_VERSIONS: Final = ("2020-10-31", "2022-05-31", "2023-02-27-preview", "2023-06-30", "2023-10-31")
SLACK: Final = 0.1
"""Share of the interval by which a request may come early: a client that keeps the rate exactly must not fail
on jitter.
"""


@dataclass(slots=True)
class RateLimit:
    """So many requests a second for the whole instance, evenly spaced; refused ones do not count."""

    free_at: datetime | None = None

    def wait(self, now: datetime, per_second: float) -> float:
        """Seconds until a request may come; 0 takes this turn."""
        interval = 1 / per_second
        if self.free_at is not None:
            early = (self.free_at - now).total_seconds()
            if early > interval * SLACK:
                return early
        start = now if self.free_at is None else max(now, self.free_at)
        self.free_at = start + timedelta(seconds=interval)
        return 0.0


def check(guard: Guard, call: Call) -> None:
    """Let the request through, or raise the ServiceError that refuses it: token first, then version, then
    rate.
    """
    if guard is Guard.OPEN:
        return
    if call.state.settings.verify_tokens:
        check_token(call)
    check_version(call)
    if guard is Guard.JOBS:
        check_rate(call)


def check_token(call: Call) -> None:
    """Raises ServiceError 401 with a challenge (RFC 6750), or ForeignTenant for a good token of another
    tenant.
    """
    settings = call.state.settings
    authority = f'Bearer authorization_uri="{call.base_url}/{settings.tenant}", resource="{AUDIENCE}"'
    scheme, _, token = (call.header("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        message = "The request has no bearer token."
        raise ServiceError(401, "Unauthorized", message, [("WWW-Authenticate", authority)])
    try:
        call.state.issuer.verify(token.strip(), settings.tenant)
    except ForeignTenant:
        raise
    except TokenRefused as refused:
        challenge = f'{authority}, error="invalid_token", error_description="{refused}"'
        headers = [("WWW-Authenticate", challenge)]
        raise ServiceError(
            401, "Unauthorized", f"The bearer token is refused: {refused}.", headers
        ) from refused


def check_version(call: Call) -> None:
    """Raises ServiceError 400 when `api-version` is missing or not a version of the data plane."""
    version = call.query("api-version")
    if version is None:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ServiceError(400, "MissingApiVersionParameter", message)
    if version not in API_VERSIONS:
        message = f"This api-version is not supported. Supported are: {', '.join(API_VERSIONS)}."
        raise ServiceError(400, "UnsupportedApiVersionValue", message)


def check_rate(call: Call) -> None:
    """Raises ServiceError 429 with `Retry-After` in whole seconds when the jobs rate is exceeded."""
    limit = call.state.settings.rate_limit
    if limit is None:
        return
    seconds = call.state.rate.wait(call.state.clock(), limit)
    if seconds > 0:
        message = f"The Jobs API takes {limit:g} request(s) per second and instance."
        raise ServiceError(429, "TooManyRequests", message, [("Retry-After", str(math.ceil(seconds)))])
