"""Refused logins, told in the log: enough of them to be noticed, too few to fill it."""

import asyncio
import logging
from collections.abc import Callable

_PAUSE = 10.0
"""Seconds from one line to the next."""

_log = logging.getLogger("gateway.admin")


class Logins:
    """Counts the logins that failed; `later` calls after so many seconds, as `call_later` of a loop does."""

    def __init__(self, later: Callable[[float, Callable[[], None]], object] | None = None) -> None:
        self._later = later
        self._untold = 0
        self._last = ""
        self._silent = False

    def refused(self, peer: str) -> None:
        """Somebody at this address showed another token than `admin.token`.

        The first one is told at once, then at most one line in ten seconds, until all are told. It has the
        last one's address and how many there were since the line before, never what was shown.
        """
        self._untold += 1
        self._last = peer
        if not self._silent:
            self._tell()

    def _tell(self) -> None:
        self._silent = self._untold > 0
        if not self._silent:
            return
        _log.warning(
            "the admin listener refused a wrong admin.token",
            extra={"client": self._last, "refused": self._untold},
        )
        self._untold = 0
        later = self._later or asyncio.get_running_loop().call_later
        later(_PAUSE, self._tell)
