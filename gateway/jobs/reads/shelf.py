"""Answers kept for a moment, bounded in number and size."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar


class Sized(Protocol):
    """What has a size."""

    @property
    def size(self) -> int:
        """Bytes."""


Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item", bound=Sized)

MAX_ANSWERS: Final = 1_000
MAX_BYTES: Final = 16 * 1_048_576


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Item]):
    answer: Item
    until: float


class Shelf(Generic[Key, Item]):
    """Answers by key, each until its time is over; the oldest make room for new ones."""

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept[Item]] = {}
        self._bytes = 0

    def get(self, key: Key, now: float) -> Item | None:
        """The answer that is kept for the key, if it is still good."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now >= kept.until:
            self._drop(key)
            return None
        return kept.answer

    def put(self, key: Key, answer: Item, until: float, now: float) -> None:
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

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.answer.size

    def _stale(self, now: float) -> bool:
        """Whether the one that was kept first is no longer good."""
        return next(iter(self._kept.values())).until <= now
