"""The circuit to the upstream: closed while it is well, open while it is left alone, half open for a probe.

It opens when connects fail one after the other, or when too great a share of the attempts in a window failed.
While it is open nothing is sent. After a while one request is let through as a probe: its answer closes the
circuit, its failure opens it again for twice as long. What was under way when it opened goes on, and says no
more about it.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway import failures
from gateway.config import Circuit
from gateway.exchange import Attempt
from gateway.resilience.verdict import UNREACHABLE, is_well, verdict
from gateway.resilience.window import Window

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"
STATES: Final = (CLOSED, OPEN, HALF_OPEN)

LONGEST_OPEN: Final = 60.0
"""Seconds after which the next probe may go at the latest, unless `open_for` itself is longer."""
_JITTER: Final = 0.1
_DOUBLINGS: Final = 20
"""More would say nothing new, and overflow in the end."""


@dataclass(frozen=True, slots=True)
class CircuitView:
    """The circuit at one moment, for people."""

    state: str
    """One of `STATES`."""
    cause: str | None = None
    """Why it opened; None where it is closed."""
    open_seconds: float | None = None
    """Since when it is not closed."""
    next_probe_in: float | None = None
    """Seconds until a request may go as a probe; 0 where the next one does."""


class Breaker:
    """One circuit, for every attempt at the upstream; used from the event loop's thread.

    `clock` is that of attempts, in seconds; `log` takes a level of `logging` and a message, once a change.
    `failures` 0 keeps the circuit closed for good.
    """

    def __init__(
        self,
        rules: Circuit,
        *,
        clock: Callable[[], float] = time.perf_counter,
        chance: random.Random | None = None,
        log: Callable[[int, str], object],
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._log = log
        self._window = Window(rules.window)
        self._unreached = 0
        self._closed = True
        self._period = 0
        # While it is not closed: when the next probe may go, how often one failed, and what began it all.
        self._next_probe = 0.0
        self._probing = False
        self._failed_probes = 0
        self._opened = 0.0
        self._cause: str | None = None

    @property
    def passes(self) -> bool:
        """Whether an attempt may begin now."""
        return self._closed or self._next_probe <= self._clock()

    def check(self) -> None:
        """Raise CircuitOpen where nothing may be sent now; before anything is waited for in vain."""
        if not self._closed and not self.passes:
            raise failures.CircuitOpen(
                f"The upstream is left alone for now: {self._cause} (upstream.circuit).",
                retry_after=self._next_probe - self._clock(),
            )

    def enter(self) -> int:
        """Begin an attempt: what `answered` and `ended` want to be given of it. Raises CircuitOpen.

        While the circuit is half open this attempt is the probe. The next one may go when this one has ended
        unanswered, or has had no answer for as long as the circuit was open before it: it may be a request
        that takes long. Each one that is overdue doubles that time, as one that failed does.
        """
        if not self._closed:
            self.check()
            if self._probing:
                self._failed_probes += 1
            self._probing = True
            self._next_probe = self._clock() + self._wait()
        return self._period

    def answered(self, entry: int, status: int) -> None:
        """An attempt has the head of its answer: enough for a probe, whose body may take long."""
        if not self._closed and entry == self._period and is_well(status):
            self._close()

    def ended(self, entry: int, attempt: Attempt, *, excused: bool = False) -> None:
        """An attempt is over; `excused` says that its failure is not the upstream's.

        One that began before the circuit last opened or closed says nothing of it.
        """
        if entry != self._period:
            return
        well = None if excused else verdict(attempt)
        if not self._closed:
            self._probed(well, attempt)
        elif well:
            self._unreached = 0
            self._window.first(attempt.finished)
        elif well is not None:
            self._count_failure(attempt)

    def view(self) -> CircuitView:
        """The circuit now; half open from the moment on when a probe may go."""
        if self._closed:
            return CircuitView(CLOSED)
        now = self._clock()
        wait = max(0.0, self._next_probe - now)
        state = HALF_OPEN if self._probing or wait == 0 else OPEN
        return CircuitView(state, self._cause, now - self._opened, wait)

    def _count_failure(self, attempt: Attempt) -> None:
        rules, at = self._rules, attempt.finished
        self._unreached = self._unreached + 1 if attempt.error_type == UNREACHABLE else 0
        self._window.second(at)
        if not rules.failures:
            return
        well, failed = self._window.totals(at)
        if self._unreached >= rules.failures:
            cause = f"{_times(self._unreached, 'connect')} in a row failed"
        elif well + failed >= rules.volume and failed > rules.share * (well + failed):
            attempts = _times(well + failed, "attempt")
            cause = f"{failed} of {attempts} in {rules.window:g} s failed, the last with {attempt.error_type}"
        else:
            return
        self._cause, self._opened = cause, self._clock()
        self._open(logging.WARNING, f"The circuit to the upstream is open: {cause}.")

    def _probed(self, well: bool | None, attempt: Attempt) -> None:
        if well:
            self._close()
        elif well is None:
            # Its client left, or the like: whoever comes next is the probe.
            self._next_probe = self._clock()
            self._probing = False
        else:
            self._failed_probes += 1
            told = f"The circuit to the upstream stays open: a probe failed with {attempt.error_type}."
            self._open(logging.INFO, told)

    def _wait(self) -> float:
        """Seconds from one probe to the next."""
        base = self._rules.open_for
        return min(max(LONGEST_OPEN, base), base * 2.0 ** min(self._failed_probes, _DOUBLINGS))

    def _open(self, level: int, told: str) -> None:
        wait = self._wait()
        wait *= self._chance.uniform(1 - _JITTER, 1 + _JITTER)
        self._closed = self._probing = False
        self._period += 1
        self._next_probe = self._clock() + wait
        self._log(level, f"{told} Nothing is sent for {wait:.1f} s.")

    def _close(self) -> None:
        lasted = self._clock() - self._opened
        self._closed, self._probing = True, False
        self._period += 1
        self._failed_probes = self._unreached = 0
        self._cause = None
        self._window.clear()
        self._log(logging.INFO, f"The circuit to the upstream is closed again, after {lasted:.1f} s.")


def _times(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
