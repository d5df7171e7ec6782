"""A job record to bytes for a store, and back.

A store outlives the program that wrote it and may be damaged: what is read is checked like what comes from
outside, and field names are those of `JobRecord`, so that renaming one breaks the format.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import STATUSES, SpanContext, printable
from gateway.jobs.record import MAX_HISTORY, JobRecord
from gateway.jobs.wire import MAX_TEXT, is_usable_id

_LATEST: Final = 7_258_118_400.0
"""The year 2200, seconds since the epoch: no clock goes on so far, and every time before it can be shown."""

_MAX_SIGHTINGS: Final = 1 << 53
_TRACE_ID = re.compile("[0-9a-f]{32}")
_SPAN_ID = re.compile("[0-9a-f]{16}")
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(JobRecord)

_log = logging.getLogger("gateway.jobs")


def store_key(record: JobRecord) -> str:
    """The record's key in its space of the store; kinds have no `/`."""
    return f"{record.kind}/{record.id}"


def to_bytes(record: JobRecord) -> bytes:
    """The record as JSON."""
    return _ENCODER.encode(record)


def from_bytes(key: str, value: bytes) -> JobRecord | None:
    """The record that was kept under this key; None for anything that is none."""
    record = decoded(value)
    return record if record is not None and store_key(record) == key else None


def decoded(value: bytes) -> JobRecord | None:
    """The record; None for anything that is none."""
    try:
        record = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not _is_sound(record):
        return None
    # Ten thousand records have the same few words in them.
    record.kind = sys.intern(record.kind)
    record.history = tuple((sys.intern(status), at) for status, at in record.history)
    return record


def records_of(kept: Mapping[str, bytes]) -> list[JobRecord]:
    """The records among what was kept; what is none is skipped, with one line."""
    known = list(filter(None, (from_bytes(key, value) for key, value in kept.items())))
    if len(known) < len(kept):
        _log.warning("%d entries of the jobs' store are no job records: skipped", len(kept) - len(known))
    return known


def _is_sound(record: JobRecord) -> bool:
    if record.kind not in STATUSES or not is_usable_id(record.id):
        return False
    statuses = [status for status, _ in record.history]
    if not 0 < len(statuses) <= MAX_HISTORY or not set(statuses) <= set(STATUSES[record.kind]):
        return False
    times = [record.first_seen, record.last_seen, record.left_at or 0.0, *(at for _, at in record.history)]
    instants = [instant for instant in (record.created, record.finished, record.purge) if instant is not None]
    return (
        all(0 <= time <= _LATEST for time in times)
        and all(0 < instant <= _LATEST * NANOSECONDS for instant in instants)
        and 0 <= record.sightings <= _MAX_SIGHTINGS
        and (record.error_code is None or record.error_code == printable(record.error_code, MAX_TEXT))
        and (record.created_in is None or _is_span(record.created_in))
    )


def _is_span(span: SpanContext) -> bool:
    return bool(_TRACE_ID.fullmatch(span.trace_id) and _SPAN_ID.fullmatch(span.span_id))
