"""What is read where the outcome of a write is unknown, and when a job was created by that reading."""

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from gateway.exchange import Exchange, RawHeaders
from gateway.headers import first
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.wire import NOT_FOUND, read_error_code

DEFAULT_API_VERSION: Final = b"2023-10-31"

MARGIN: Final = 2.0
"""Seconds by which ages may be wrong: `Date` has whole seconds, and answers take their time."""

CLOCK_MARGIN: Final = 5.0
"""Seconds by which the service's clock may differ from ours, where its answer has no `Date`."""


@dataclass(frozen=True, slots=True)
class JobRead:
    """The answer to a read that was sent after the write's outcome had become unknown."""

    status: int
    headers: RawHeaders
    body: bytes | None = field(repr=False)
    """Decoded; None for one that was too large, or did not come whole."""
    at: float
    """When its head came, wall clock, seconds since the epoch."""

    def says_not_found(self, kind: str) -> bool:
        """Whether it is about the job: other 404s are about the host, the tenant or the path."""
        header = first(self.headers, b"x-ms-error-code")
        codes = {header.decode("latin-1") if header else None, read_error_code(self.body or b"")} - {None}
        named = {code.strip().lower() for code in codes if code is not None}
        return self.status == 404 and named == {NOT_FOUND[kind]}  # noqa: PLR2004 - Not Found


def read_target(exchange: Exchange, job_id: str | None) -> tuple[bytes, bytes]:
    """Raw path and query of the GET that shows what became of the exchange's write.

    `job_id` is its fingerprint's. An import keeps the bytes of its path; a deletion without an id is looked
    for in the list. Of the query only `api-version` stays.
    """
    query = b"api-version=" + (_api_version(exchange.query) or DEFAULT_API_VERSION)
    if exchange.route.job_kind == "deletion":
        return deletion_path(job_id) if job_id is not None else b"/jobs/deletions", query
    if exchange.route.operation == "cancel":
        return exchange.raw_path.removesuffix(b"/cancel"), query
    return exchange.raw_path, query


def deletion_path(job_id: str) -> bytes:
    """The path of a deletion, its id percent-encoded."""
    return b"/jobs/deletions/" + quote(job_id, safe="").encode()


class Created(Enum):
    """When a job was created, against the moment at which a write left."""

    BEFORE = auto()
    ABOUT = auto()
    """Too close to tell."""
    AFTER = auto()


def created(instant: int | None, read: JobRead, sent: float) -> Created | None:
    """When a job was created against a send; None where that cannot be told.

    `instant` is the service's, in nanoseconds; `sent` is ours, in seconds since the epoch. The service's
    clock and ours need not agree: where the answer has a `Date`, only spans of time are compared, the job's
    age by the service and the time since the send by us.
    """
    elapsed = read.at - sent
    if instant is None or elapsed < 0:  # our clock was set back since
        return None
    then, date = instant / NANOSECONDS, _date(read.headers)
    if date is None:
        after, margin = then - sent, CLOCK_MARGIN
    else:
        after, margin = elapsed - (date - then), MARGIN
    if abs(after) <= margin:
        return Created.ABOUT
    return Created.AFTER if after > 0 else Created.BEFORE


class BlobUris(msgspec.Struct, rename="camel", frozen=True):
    """Where an import reads from and logs to. Secrets: compared and dropped."""

    input_blob_uri: str
    output_blob_uri: str


class _Page(msgspec.Struct, rename="camel"):
    value: list[msgspec.Raw]
    next_link: Any = None


_BLOB_URIS: Final = msgspec.json.Decoder(BlobUris)
_PAGE: Final = msgspec.json.Decoder(_Page)
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def blob_uris(body: bytes) -> BlobUris | None:
    """The blob URIs of an ImportJob, or None where they cannot be read."""
    try:
        return _BLOB_URIS.decode(body)
    except _BROKEN:
        return None


def whole_list(body: bytes) -> list[msgspec.Raw] | None:
    """The items of a collection that has no further page, or None."""
    try:
        page = _PAGE.decode(body)
    except _BROKEN:
        return None
    return None if page.next_link else page.value


def _api_version(query: bytes) -> bytes | None:
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if unquote_to_bytes(name).lower() == b"api-version":
            return value
    return None


def _date(headers: RawHeaders) -> float | None:
    """`Date` in seconds since the epoch (RFC 9110, section 6.6.1)."""
    value = first(headers, b"date")
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value[:64].decode("latin-1"))
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
