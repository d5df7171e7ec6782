"""Kinds and statuses of jobs, and the small records that pass between the files of this room.

Source: Azure Digital Twins data plane REST reference, api-version 2023-10-31, Import Jobs and Delete Jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import msgspec

UNKNOWN: Final = "unknown"
"""Any status that the reference does not list: both enums are extensible."""

STATUSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "import": ("notstarted", "running", "failed", "succeeded", "cancelling", "cancelled", UNKNOWN),
        "deletion": ("notstarted", "running", "failed", "succeeded", UNKNOWN),
    }
)
"""Every status a job of each kind can be shown with; the label set of the metrics."""

TERMINAL: Final = frozenset({"failed", "succeeded", "cancelled"})
"""Statuses after which nothing changes."""

PROGRESS: Final[Mapping[str, int]] = MappingProxyType(
    {"notstarted": 0, "running": 1, "cancelling": 2, "failed": 3, "succeeded": 3, "cancelled": 3}
)
"""How far along a status is; a job never goes to a smaller one. `unknown` has no place in the order."""

Reason = Literal["too_large", "not_json", "not_a_job"]
"""Why a body was not read."""

MAX_ID = 512
"""Longest job id that is kept, in characters: ids are free-form, memory is not."""


def known_status(kind: str, text: object) -> str:
    """The status in the closed set of the kind, whatever its case, else `unknown`."""
    if not isinstance(text, str):
        return UNKNOWN
    status = text.lower()
    if status == "canceled":  # the spelling of the Azure guideline for long-running operations
        status = "cancelled"
    return status if status in STATUSES[kind] else UNKNOWN


def printable(text: str, limit: int) -> str:
    """The text for logs and attributes: cut at the limit, every character that does not print replaced."""
    text = text[:limit]
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


class JobState(msgspec.Struct, frozen=True, gc=False):
    """What one answer says of one job; instants are nanoseconds since the epoch.

    Blob URIs are not here: they may carry a SAS, which is a secret.
    """

    id: str
    status: str
    """One of the kind's `STATUSES`."""
    status_text: str | None = None
    """The status as sent, printable and bounded; None where there was none."""
    error_code: str | None = None
    created: int | None = None
    finished: int | None = None
    purge: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether the job has ended: a status not listed counts as an end once it has a finished time."""
        return self.status in TERMINAL or (self.status == UNKNOWN and self.finished is not None)


class SpanContext(msgspec.Struct, frozen=True, gc=False):
    """A span by its ids, lower-case hex."""

    trace_id: str
    span_id: str
    sampled: bool


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A finish, told once per job."""

    kind: str
    id: str
    status: str
    error_code: str | None
    """`error.code` of the job as sent, printable and bounded; not a closed set."""
    duration: float | None
    """Seconds from created to finished by the service's clock; None where one is absent or they disagree."""
    created: int | None
    """By the service's clock, nanoseconds since the epoch; so is `finished`."""
    finished: int | None
    history: tuple[tuple[str, float], ...]
    """Each status with the time at which it was first seen, seconds since the epoch."""
    first_seen: float
    """By the gateway's clock, seconds since the epoch; so is `last_seen`."""
    last_seen: float
    created_in: SpanContext | None
    """The request that created the job, where it went through this gateway."""
    seen_in: SpanContext
    """The exchange that brought the news."""


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """The ledger at one moment, for gauges."""

    counts: Mapping[tuple[str, str], int]
    """Jobs by kind and status; every pair of `STATUSES` is present."""
    oldest_active: Mapping[str, float]
    """By kind, seconds since the oldest unfinished job was created; 0 where there is none."""
    last_sync: float | None
    """When an answer about jobs was last read, seconds since the epoch."""
