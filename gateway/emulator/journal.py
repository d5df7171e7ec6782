"""What arrived: the last requests, bounded, and how many came per route."""

import hashlib
from collections import Counter, deque
from datetime import datetime
from typing import Any

import msgspec


class Entry(msgspec.Struct, kw_only=True):
    """One request as it came, secrets included, since it is there to be compared; and the status it got.

    `target` and header names are spelled as on the wire. `body` is the beginning of the body as text, bytes
    that are not UTF-8 replaced; size and digest are of all of it. `status` is None while unanswered, or
    when the connection was cut before the head; `request_id` is the answer's `x-ms-request-id`.
    """

    number: int
    time: datetime
    peer: str | None
    method: str
    target: str
    http_version: str
    route: str
    headers: list[tuple[str, str]]
    body_size: int
    body_sha256: str
    body: str
    status: int | None = None
    request_id: str | None = None


class Journal:
    """The last `size` requests and the counts of all since the start or the last clear."""

    def __init__(self, size: int, body_bytes: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._counts: Counter[str] = Counter()
        self._body_bytes = body_bytes
        self._total = 0

    def add(self, body: bytes, **known: Any) -> Entry:
        """Remember a request; the arguments are the other fields of `Entry`."""
        self._total += 1
        entry = Entry(
            number=self._total,
            body_size=len(body),
            body_sha256=hashlib.sha256(body).hexdigest(),
            body=body[: self._body_bytes].decode(errors="replace"),
            **known,
        )
        self._counts[entry.route] += 1
        self._entries.append(entry)
        return entry

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The remembered requests, oldest first."""
        return tuple(self._entries)

    @property
    def counts(self) -> dict[str, int]:
        """Requests per route label, as `GET /jobs/imports/{id}`; other paths count as `unmatched`."""
        return dict(self._counts)

    @property
    def total(self) -> int:
        """All requests, forgotten ones too."""
        return self._total

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._counts.clear()
        self._total = 0
