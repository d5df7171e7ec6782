"""An answer that came to another gateway of the fleet, for the reads of this one that it answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.reads.page import jobs_on
from gateway.jobs.reads.telling import from_bytes

if TYPE_CHECKING:
    from gateway.jobs.reads.flight import Flight


@dataclass(slots=True, eq=False)
class Heard:
    """An answer as it was told, not read before somebody wants it; a batch that has landed already."""

    name: str
    """What gateways call the read, or the list that was asked in place of several."""
    told: bytes
    sent_at: float
    """When it was sent upstream, on the clock of the timers here."""
    _answer: ReadAnswer | None = None
    _jobs: dict[str, ReadAnswer] | None = None
    _is_read: bool = False

    @property
    def size(self) -> int:
        """Bytes, as told."""
        return len(self.told)

    @property
    def is_sound(self) -> bool:
        """Whether it can be read."""
        self._read()
        return self._answer is not None

    async def answer_for(self, flight: "Flight") -> ReadAnswer | None:
        """The flight's part of it; None where it does not tell, so that the flight must ask by itself."""
        if flight.names is None:
            return None
        return self.part(flight.names.own, flight.kind, flight.exchange.route.job_id)

    def part(self, own: str, kind: str, job_id: str | None) -> ReadAnswer | None:
        """What it says to a read of this name; a page says something of each job that is on it."""
        self._read()
        if self._answer is None or own == self.name:
            return self._answer
        if self._jobs is None:
            self._jobs = jobs_on(kind, self._answer, None) or {}
        return self._jobs.get(job_id or "")

    def _read(self) -> None:
        if not self._is_read:
            self._is_read = True
            self._answer = from_bytes(self.told, self.sent_at)
