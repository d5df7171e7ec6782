"""Which failures are tried again: what cannot run twice by it, and nothing else. Never by status."""

import math
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


def reason_to_repeat(
    error: BaseException,
    *,
    method: str,
    body: bytes | Upload | None,
    tried: Sequence[Attempt],
    keeps_connections: bool,
) -> str | None:
    """Why the last of the attempts `tried`, which failed with `error`, may be made again; None where not.

    `unreachable`: nothing was sent, and nothing of the body is gone. `stale_connection`: a read got no
    answer, which is what a kept connection looks like when the upstream has closed it meanwhile; twice is no
    accident.
    """
    if isinstance(error, failures.UpstreamUnreachable):
        return UNREACHABLE if not isinstance(body, Upload) or body.untouched else None
    if not isinstance(error, failures.UpstreamConnectionLost) or isinstance(body, Upload):
        return None
    before = any(attempt.error_type == error.code for attempt in tried[:-1])
    return STALE if keeps_connections and method in SAFE and not before else None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A failure that is tried again, within what is left of the request's time."""

    error: failures.GatewayError
    until: float = math.inf
    """When that time is over, on the clock of attempts."""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.perf_counter()
