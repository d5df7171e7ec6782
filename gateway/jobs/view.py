"""A job record as JSON for `/api/jobs` and the command line."""

from gateway.jobs.instants import NANOSECONDS, format_instant
from gateway.jobs.record import JobRecord

Json = dict[str, object]


def job_view(record: JobRecord) -> Json:
    """The record in JSON types; times in UTC with seven decimals, `null` where absent."""
    return {
        "kind": record.kind,
        "id": record.id,
        "status": record.status,
        "isOver": record.is_over,
        "errorCode": record.error_code,
        "createdDateTime": _instant(record.created),
        "finishedDateTime": _instant(record.finished),
        "purgeDateTime": _instant(record.purge),
        "durationSeconds": record.duration,
        "firstSeen": _seconds(record.first_seen),
        "lastSeen": _seconds(record.last_seen),
        "sightings": record.sightings,
        "createdHere": record.created_here,
        "traceId": record.created_in.trace_id if record.created_in else None,
        "traceSampled": record.created_in is not None and record.created_in.sampled,
        "history": [{"status": status, "seen": _seconds(at)} for status, at in record.history],
    }


def _instant(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _seconds(seconds: float) -> str:
    return format_instant(int(seconds * NANOSECONDS))
