"""A sleep on the clock of the timers, which can be ended before its time."""

import asyncio

from gateway.jobs.pace import Timers


class Rest:
    """One sleeper's sleep."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._woken: asyncio.Future[None] | None = None
        self._is_due = False

    async def sleep(self, seconds: float) -> None:
        """Sleep so long, or until woken; not at all where that has been since the last sleep."""
        if not self._is_due:
            self._woken = asyncio.get_running_loop().create_future()
            timer = self._timers.call_at(self._timers.time() + seconds, self.wake)
            try:
                await self._woken
            finally:
                timer.cancel()
                self._woken = None
        self._is_due = False

    def wake(self) -> None:
        """End the sleep, or the one to come."""
        self._is_due = True
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
