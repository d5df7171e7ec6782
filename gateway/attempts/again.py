"""Which failures are tried again: what cannot run twice by it, and nothing else. Never by status."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway import failures
from gateway.downstream import Upload
from gateway.exchange import Attempt

SAFE: Final = frozenset({"GET", "HEAD"})
"""Methods that may go once more on a connection that died."""

UNREACHABLE: Final = "unreachable"
STALE: Final = "stale_connection"
TOKEN: Final = "token"  # noqa: S105 - a reason, not a secret
REASONS: Final = (TOKEN, UNREACHABLE, STALE)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Why an attempt is made again, within what is left of the request's time."""

    reason: str
    """One of `REASONS`."""
    until: float
    """When that time is over, on the clock of attempts."""
    error: failures.GatewayError | None = None
    """The failure that stays the answer where there can be no other attempt; none of a token refused."""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.perf_counter()


def repeat_after(
    error: BaseException,
    *,
    method: str,
    body: bytes | Upload | None,
    tried: Sequence[Attempt],
    until: float,
) -> Repeat | None:
    """How the last of the attempts `tried`, which failed with `error`, may be made again; None where not.

    `unreachable`: nothing was sent, and nothing of the body is gone. `stale_connection`: a read got no whole
    head, and its connection may have been a kept one that the upstream had closed meanwhile; twice is no
    accident.
    """
    if isinstance(error, failures.UpstreamUnreachable):
        unsent = not isinstance(body, Upload) or body.untouched
        return Repeat(UNREACHABLE, until, error) if unsent else None
    if not isinstance(error, failures.KeptConnectionLost) or isinstance(body, Upload):
        return None
    before = any(attempt.error_type == error.code for attempt in tried[:-1])
    return Repeat(STALE, until, error) if method in SAFE and not before else None
