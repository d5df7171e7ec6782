"""Source: a fixed token, for tests; if it is a JWT, its exp is respected."""

import math
import time
from collections.abc import Callable

from gateway.tokens.claims import bearer, jwt_expiry
from gateway.tokens.token import FetchedToken


class StaticSource:
    """Always the same token; `wall` is the wall clock, which a JWT's exp is measured by."""

    name = "static"

    def __init__(self, token: str, *, wall: Callable[[], float] = time.time) -> None:
        self._token = token
        self._wall = wall

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:  # noqa: ARG002 - as the protocol
        """The token; raises `SourceError` if no header can carry it."""
        expiry = jwt_expiry(bearer(self._token))
        left = math.inf if expiry is None else expiry - self._wall()
        return FetchedToken(self._token, left, refresh_in=math.inf)

    async def aclose(self) -> None:
        """Nothing is held."""
