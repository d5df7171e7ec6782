"""An answer as one gateway tells it to the others, and what it is called."""

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.exchange import RawHeaders, TraceIds
from gateway.jobs.model import printable
from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.wire import MAX_TEXT

_STATUSES: Final = range(200, 600)
_UNTOLD: Final = frozenset({b"set-cookie"})
_LONGEST_ID: Final = 512
_IDS: Final = re.compile("[0-9a-f]{32}[0-9a-f]{16}")


class _Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    took: float
    """Seconds from the request to the head of the answer."""
    trace: tuple[str, str, bool]
    job_id: str | None
    job_status: str | None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Told)


def name_of(key: Sequence[str | bytes]) -> str:
    """What gateways call a read, or a list that answers several: a digest of all that makes it this one."""
    hashed = hashlib.sha256()
    for part in key:
        value = part if isinstance(part, bytes) else part.encode()
        hashed.update(b"%d:" % len(value))
        hashed.update(value)
    return hashed.hexdigest()


def to_bytes(answer: ReadAnswer) -> bytes:
    """An answer that came whole; a caller's cookie is not told."""
    trace = (answer.trace.trace_id, answer.trace.span_id, answer.trace.sampled)
    headers = [pair for pair in answer.headers if pair[0] not in _UNTOLD]
    took = max(0.0, answer.came_at - answer.sent_at)
    return _ENCODER.encode(
        _Told(answer.status, headers, answer.body, took, trace, answer.job_id, answer.job_status)
    )


def from_bytes(told: bytes, sent_at: float) -> ReadAnswer | None:
    """The answer, sent upstream at this moment by the clock here; None for what is none.

    It is checked like what comes from outside: others can write to a store.
    """
    try:
        found = _DECODER.decode(told)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if found.status not in _STATUSES or not math.isfinite(found.took) or not _are_sound(found.headers):
        return None
    trace_id, span_id, sampled = found.trace
    if not _IDS.fullmatch(trace_id + span_id):
        return None
    return ReadAnswer(
        status=found.status,
        headers=found.headers,
        body=found.body,
        sent_at=sent_at,
        came_at=sent_at + max(0.0, found.took),
        trace=TraceIds(trace_id, span_id, sampled=sampled, response_header=b""),
        job_id=None if found.job_id is None else printable(found.job_id, _LONGEST_ID),
        job_status=None if found.job_status is None else printable(found.job_status, MAX_TEXT),
        elsewhere=True,
    )


def _are_sound(headers: RawHeaders) -> bool:
    lines = b"".join(name + value for name, value in headers)
    return all(name for name, _ in headers) and not any(character in lines for character in b"\r\n\0")
