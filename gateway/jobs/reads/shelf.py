"""Answers kept for a moment, bounded in number and size."""

from dataclasses import dataclass
from typing import Final

from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.reads.request import ReadKey

MAX_ANSWERS: Final = 1_000
MAX_BYTES: Final = 16 * 1_048_576


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: ReadAnswer
    until: float


class Shelf:
    """Answers by key, each until its time is over; the oldest make room for new ones."""

    def __init__(self) -> None:
        self._kept: dict[ReadKey, _Kept] = {}
        self._bytes = 0

    def get(self, key: ReadKey, now: float) -> ReadAnswer | None:
        """The answer that is kept for the key, if it is still good."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now >= kept.until:
            self._drop(key)
            return None
        return kept.answer

    def put(self, key: ReadKey, answer: ReadAnswer, until: float, now: float) -> None:
        """Keep an answer; it is good after `now`."""
        self._drop(key)
        self._kept[key] = _Kept(answer, until)
        self._bytes += answer.size
        while self._kept and (len(self._kept) > MAX_ANSWERS or self._bytes > MAX_BYTES or self._stale(now)):
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()
        self._bytes = 0

    def _drop(self, key: ReadKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.answer.size

    def _stale(self, now: float) -> bool:
        """Whether the one that was kept first is no longer good."""
        return next(iter(self._kept.values())).until <= now
