"""Which reads can be shared, and what makes two of them the same."""

import re
from dataclasses import replace
from typing import Final, NamedTuple

from gateway.exchange import Exchange, RawHeaders, Route
from gateway.jobs.reads.header_digest import header_digest

_ONE_OF_A_KIND: Final = frozenset(
    {
        b"pragma",
        b"range",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
        b"content-length",
        b"transfer-encoding",
    }
)
"""Conditional and range requests, and those with a body, are answered by the upstream itself."""

_FRESH: Final = re.compile(rb"no-cache|no-store|max-age\s*=\s*\"?0+\"?\s*(?:,|$)", re.IGNORECASE)
_VERSION_ONLY: Final = re.compile(rb"api-version=[0-9A-Za-z.-]{1,32}", re.IGNORECASE)


class ReadKey(NamedTuple):
    """Reads with equal keys get the same answer; the path and the whole query as they came."""

    path: bytes
    query: bytes
    headers: bytes
    """What else the request says to the upstream, from `header_digest`."""


class BatchKey(NamedTuple):
    """Reads of single jobs with equal keys can be answered from one list."""

    kind: str
    query: bytes
    headers: bytes


def read_key(exchange: Exchange, sent: RawHeaders) -> ReadKey | None:
    """The key of a read that can be shared; None for any other request. `sent` is what goes upstream.

    `Cache-Control: no-cache` (and `no-store`, `max-age=0`, `Pragma`), conditional and range requests ask for
    an answer of the upstream's own (RFC 9111, section 5.2.1).
    """
    if exchange.method != "GET" or exchange.route.operation not in {"get", "list"}:
        return None
    fields = exchange.fields
    if not _ONE_OF_A_KIND.isdisjoint(fields):
        return None
    if b"cache-control" in fields:
        asked = (value for name, value in exchange.headers if name == b"cache-control")
        if any(map(_FRESH.search, asked)):
            return None
    return ReadKey(exchange.raw_path, exchange.query, header_digest(sent))


def batch_key(exchange: Exchange, headers: bytes) -> BatchKey | None:
    """The key of a read of one job that a list can answer; None where a list might say something else.

    The list is asked with the same query, so the query must mean the same to it; and the id must be known
    for certain. It goes with the headers of one of the reads, so their digests, `headers`, must be the same.
    """
    route = exchange.route
    if route.operation != "get" or route.job_kind is None or route.job_id is None:
        return None
    if not _VERSION_ONLY.fullmatch(exchange.query) or "\ufffd" in route.job_id:
        return None
    return BatchKey(route.job_kind, exchange.query, headers)


def own_exchange(exchange: Exchange) -> Exchange:
    """A record of its own for the upstream's side of a read, which may outlive the caller's exchange."""
    return replace(exchange, attempts=[], added_headers=[], app_wait=0.0, upstream_wait=0.0, rate_wait=0.0)


def list_exchange(exchange: Exchange) -> Exchange:
    """The list request that stands for a read of one job."""
    route = exchange.route
    collection = Route(
        route.template.rpartition("/")[0], route.job_kind, operation="list", pages=True, jobs_api=True
    )
    headers = [pair for pair in exchange.headers if pair[0] != b"max-items-per-page"]
    path = exchange.raw_path.rpartition(b"/")[0]
    asked = own_exchange(exchange)
    return replace(asked, raw_path=path, route=collection, headers=headers, job_id=None)
