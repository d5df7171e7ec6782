"""What is kept of a write: in memory with steady times, in the store with those of the wall clock.

A steady time is a reading of the monotonic clock, so that setting the wall clock changes nothing while the
gateway runs. A store outlives that clock; only the way into it and out of it depends on the wall clock.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import msgspec

from gateway import headers as fields
from gateway.exchange import RawHeaders

MAX_ANSWER: Final = 65_536
"""Bytes of the largest answer that is kept, headers included."""

_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer of the upstream's to a write, its links not yet rewritten, to be given again.

    `repr` shows the status only: an ImportJob holds blob URIs, and those may carry a SAS.
    """

    status: int
    headers: RawHeaders = field(repr=False)
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, status: int, headers: RawHeaders, body: bytes) -> Self:
        """The answer without what belongs to one connection or one client: hop-by-hop, `Set-Cookie`."""
        kept = [pair for pair in fields.to_downstream(headers) if pair[0] != b"set-cookie"]
        return cls(status, kept, body)

    @property
    def size(self) -> int:
        """Bytes of headers and body."""
        return len(self.body) + sum(len(name) + len(value) for name, value in self.headers)

    @property
    def is_sound(self) -> bool:
        """Whether it can be given as it is; a damaged store may hold anything."""
        if self.status not in _SUCCESS or self.size > MAX_ANSWER:
            return False
        lines = b"".join(name + value for name, value in self.headers)
        return not any(character in lines for character in b"\r\n\0")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one write; times are steady seconds."""

    since: float
    """When the first send left whose outcome is not known; of a success, when the first send left."""
    at: float
    """When it was last sent, or succeeded: it expires from here."""
    done: bool = False
    """It has succeeded. Without `answer` the answer is gone."""
    answer: Recorded | None = None

    def storable(self, kind: str) -> "Record":
        """The record for the store: without an answer that holds blob URIs."""
        if self.answer is None or kind == "deletion" or not self.answer.body:
            return self
        return Record(self.since, self.at, self.done)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both clocks, in seconds: the wall clock may be set at any time, the monotonic one never goes back."""

    wall: Callable[[], float]
    monotonic: Callable[[], float]

    def to_wall(self, steady: float) -> float:
        """A steady time by the wall clock as it stands now."""
        return self.wall() - (self.monotonic() - steady)

    def to_steady(self, wall: float) -> float:
        """The reverse; before this process it is below anything that the monotonic clock has shown."""
        return self.monotonic() - (self.wall() - wall)


class _Stored(msgspec.Struct, frozen=True, gc=False):
    job: str | None
    since: float
    at: float
    done: bool = False
    answer: Recorded | None = None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Stored)


def pack(record: Record, job: str | None, clocks: Clocks) -> bytes:
    """The record as the store keeps it; `job` is the job's key."""
    since, at = clocks.to_wall(record.since), clocks.to_wall(record.at)
    return _ENCODER.encode(_Stored(job, since, at, record.done, record.answer))


def unpack(value: bytes, clocks: Clocks) -> tuple[str | None, Record] | None:
    """The job's key and the record, or None for what is no record."""
    try:
        stored = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not math.isfinite(stored.since) or not math.isfinite(stored.at):
        return None
    answer = stored.answer if stored.done and stored.answer and stored.answer.is_sound else None
    since, at = clocks.to_steady(stored.since), clocks.to_steady(stored.at)
    return stored.job, Record(since, at, stored.done, answer)
