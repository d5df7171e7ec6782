"""A response body of the Jobs API to job states, tolerant of whatever it holds.

Only what cannot be used at all is refused; a field of a wrong type counts as absent, and one odd item of a
page does not hide the others, unless the decoder refuses the whole, as it does at a lone surrogate escape.
Source: REST reference, ImportJob, DeleteJob, ErrorResponse.
"""

from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec

from gateway.jobs.instants import parse_instant
from gateway.jobs.model import MAX_ID, JobState, Reason, known_status, printable
from gateway.jobs.shown import Shown

T = TypeVar("T")

NOT_FOUND: Final = {"import": "importjobnotfound", "deletion": "deletejobnotfound"}
"""By kind, in lower case, the code of a 404 that is about the job, and not about the host or the path."""

MAX_ITEMS = 1_000
"""Items of one page that are read; reading them holds up the event loop."""

MAX_TEXT = 64
"""Characters kept of a status or an error code."""

MAX_KEPT = 16_384
"""Bodies of which it is remembered what they say, and the items in them, all together."""
MAX_KEPT_BODY = 4_096
"""Bytes of such a body of one job."""


class Unreadable(ValueError):
    """A body, or an item of a page, that says nothing usable about a job."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class _Job(msgspec.Struct, rename="camel", gc=False):
    """ImportJob and DeleteJob; fields not named here, blob URIs among them, are skipped unread."""

    id: Any = None
    status: Any = None
    created_date_time: Any = None
    finished_date_time: Any = None
    purge_date_time: Any = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class _Page(msgspec.Struct):
    """ImportJobCollection and DeleteJobCollection; items stay bytes, each to be read by itself."""

    value: list[msgspec.Raw]


class _Error(msgspec.Struct):
    code: Any = None


class _ErrorResponse(msgspec.Struct):
    error: _Error | None = None


_JOB: Final = msgspec.json.Decoder(_Job)
_PAGE: Final = msgspec.json.Decoder(_Page)
_ERROR: Final = msgspec.json.Decoder(_Error | None)
_ERROR_RESPONSE: Final = msgspec.json.Decoder(_ErrorResponse)


def read_job(kind: str, body: bytes | msgspec.Raw, fallback_id: str | None = None) -> JobState:
    """The job in the body; `fallback_id` (of the path or a header) serves where the body has no id.

    Raises Unreadable for what is not JSON, not an object, or has no usable id.
    """
    wire = _decode(_JOB, body)
    job_id = wire.id if isinstance(wire.id, str) else fallback_id
    if job_id is None or not is_usable_id(job_id):
        raise Unreadable("not_a_job")
    return JobState(
        id=job_id,
        status=known_status(kind, wire.status),
        status_text=_text(wire.status),
        error_code=_code_of(wire.error),
        created=parse_instant(wire.created_date_time),
        finished=parse_instant(wire.finished_date_time),
        purge=parse_instant(wire.purge_date_time),
    )


class JobReader:
    """Reads bodies that repeat: most polls of a job, or of a list, say what the one before said.

    Kept by a hash: the body itself has blob URIs, which may hold a secret. A body that is unreadable is read
    each time.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[str | bytes | None, ...], Shown] = {}
        self._count = 0

    def read(self, kind: str, body: bytes | msgspec.Raw, fallback_id: str | None = None) -> Shown:
        """As `read_job`."""
        if len(body) > MAX_KEPT_BODY or (fallback_id is not None and len(fallback_id) > MAX_ID):
            return Shown((read_job(kind, body, fallback_id),))
        key = (kind, fallback_id, sha256(body).digest())
        shown = self._said.get(key)
        if shown is None:
            shown = Shown((read_job(kind, body, fallback_id),))
            self._keep(key, shown)
        return shown

    def read_list(self, kind: str, body: bytes, digest: bytes | None = None) -> Shown:
        """The first `MAX_ITEMS` jobs of a collection; `digest` is its SHA-256, where that is known.

        Raises Unreadable as `read_page`.
        """
        # 50 us for 64 KB with 150 jobs; where some have changed 250, and 600 where all have.
        key = (kind, digest or sha256(body).digest())
        shown = self._said.get(key)
        if shown is None:
            shown = self._read_items(kind, read_page(body))
            self._keep(key, shown)
        return shown

    def _read_items(self, kind: str, items: list[msgspec.Raw]) -> Shown:
        states: list[JobState] = []
        unreadable: list[Reason] = ["too_large"] if len(items) > MAX_ITEMS else []
        for item in items[:MAX_ITEMS]:
            try:
                states += self.read(kind, item).states
            except Unreadable as error:
                unreadable.append(error.reason)
        return Shown(states, unreadable)

    def _keep(self, key: tuple[str | bytes | None, ...], shown: Shown) -> None:
        size = 1 + len(shown.states) + len(shown.unreadable)
        if self._count + size > MAX_KEPT:
            self._said.clear()
            self._count = 0
        self._count += size
        self._said[key] = shown


def read_page(body: bytes) -> list[msgspec.Raw]:
    """The items of a collection, unread. Raises Unreadable for what is not JSON or not a collection."""
    return _decode(_PAGE, body).value


def read_error_code(body: bytes) -> str | None:
    """`error.code` of an ErrorResponse, or None."""
    try:
        response = _decode(_ERROR_RESPONSE, body)
    except Unreadable:
        return None
    return _text(response.error.code) if response.error else None


def is_usable_id(job_id: str) -> bool:
    """Whether the id can be kept: not empty, bounded, and text (a path may decode to a lone surrogate)."""
    if not 0 < len(job_id) <= MAX_ID:
        return False
    return job_id.isascii() or not any("\ud800" <= c <= "\udfff" for c in job_id)


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Unreadable("not_a_job") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("not_json") from error


def _code_of(error: msgspec.Raw) -> str | None:
    try:
        wire = _decode(_ERROR, error)
    except Unreadable:
        return None
    return _text(wire.code) if wire else None


def _text(value: object) -> str | None:
    return printable(value, MAX_TEXT) if isinstance(value, str) and value else None
