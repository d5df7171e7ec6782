"""A job as `/api/jobs` tells it, read with care: the gateway may be of another version than this command."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

UNFINISHED: Final = ("notstarted", "running", "cancelling")
"""Statuses in which a job goes on."""

UNKNOWN: Final = "unknown"
"""A status that is not in the service's reference: an end where the job has a finished time."""

ENDS: Final = frozenset({"succeeded", "failed", "cancelled"})
_YEARS: Final = range(1970, 2200)
_LONGEST: Final = 1e12
"""Seconds; a greater integer may not even be a float."""

Key = tuple[str, str]
"""Kind and id."""


class Unusable(ValueError):
    """Not a job."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job; times are seconds since the epoch, and what the gateway does not tell is None."""

    raw: Mapping[str, object]
    """As it came."""
    kind: str
    id: str
    status: str
    error_code: str | None
    trace_id: str | None
    created: float | None
    """`created`, `finished` and `purge` are the service's times, the others the gateway's."""
    finished: float | None
    purge: float | None
    first_seen: float | None
    last_seen: float | None
    duration: float | None
    """Seconds, by the service's times."""
    sightings: int | None
    """Answers of the service that showed this job."""
    created_here: bool
    history: tuple[tuple[str, float | None], ...]
    """Statuses and when the gateway first saw each."""

    @property
    def key(self) -> Key:
        """What tells it from other jobs."""
        return self.kind, self.id

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDS or (self.status not in UNFINISHED and self.finished is not None)

    def elapsed(self, now: float) -> float | None:
        """Seconds from its creation to its end, or to now."""
        if self.is_over:
            return self.duration
        since = self.first_seen if self.created is None else self.created
        return None if since is None else max(0.0, now - since)


def read_job(value: object) -> Job:
    """The job in a decoded JSON value. Raises Unusable where kind, id or status is missing."""
    raw = value if isinstance(value, dict) else {}
    kind, job_id, status = (_text(raw.get(name)) for name in ("kind", "id", "status"))
    if kind is None or job_id is None or status is None:
        raise Unusable
    return Job(
        raw=raw,
        kind=kind,
        id=job_id,
        status=status,
        error_code=_text(raw.get("errorCode")),
        trace_id=_text(raw.get("traceId")),
        created=_time(raw.get("createdDateTime")),
        finished=_time(raw.get("finishedDateTime")),
        purge=_time(raw.get("purgeDateTime")),
        first_seen=_time(raw.get("firstSeen")),
        last_seen=_time(raw.get("lastSeen")),
        duration=_number(raw.get("durationSeconds")),
        sightings=_count(raw.get("sightings")),
        created_here=raw.get("createdHere") is True,
        history=tuple(_history(raw.get("history"))),
    )


def as_json(value: object, *, indent: int | None = 2) -> str:
    """JSON in ASCII: safe in any terminal and any encoding."""
    return json.dumps(value, indent=indent)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN, which Python reads as JSON, is not below anything.
    return float(value) if abs(value) < _LONGEST else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: object) -> float | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if time is None or time.year not in _YEARS:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _history(value: object) -> Iterator[tuple[str, float | None]]:
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, dict) and (status := _text(entry.get("status"))):
            yield status, _time(entry.get("seen"))
