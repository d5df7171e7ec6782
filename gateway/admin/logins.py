"""Refused logins, told in the log: enough of them to be noticed, too few to fill it."""

import logging
import time
from collections.abc import Callable

_PAUSE = 10.0
"""Seconds from one line to the next."""

_log = logging.getLogger("gateway.admin")


class Logins:
    """Counts the logins that failed; `clock` gives seconds, as `time.monotonic` does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._untold = 0
        self._silent_until = float("-inf")

    def refused(self, peer: str) -> None:
        """Somebody at this address showed another token than `admin.token`.

        The first one is told at once, then at most one line in ten seconds. It has the last one's address and
        how many there were since the line before, never what was shown.
        """
        self._untold += 1
        now = self._clock()
        if now < self._silent_until:
            return
        _log.warning(
            "the admin listener refused a wrong admin.token", extra={"client": peer, "refused": self._untold}
        )
        self._untold, self._silent_until = 0, now + _PAUSE
