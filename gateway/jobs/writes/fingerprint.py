"""What makes two requests one write: who sent it, under which id, to what, with what.

Azure SDKs keep `x-ms-client-request-id` over the retries of one call, while headers for tracing and dates
change from send to send. Everything here is a hash: nothing of a body is kept.
"""

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.exchange import Exchange

_WRITES: Final = frozenset({"add", "cancel", "delete"})
_CLIENT_REQUEST_ID: Final = b"x-ms-client-request-id"
_OPERATION_ID: Final = b"operation-id"
_PLAIN_ID: Final = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One write, however often it is sent."""

    digest: str
    """SHA-256 in hex of all that makes it this write."""
    kind: str
    """`import` or `deletion`."""
    operation: str
    """`add`, `cancel` or `delete`."""
    job_id: str | None
    """The id in the path, or the deletion's `operation-id`; None where there is none to read the job by."""


def fingerprint(
    exchange: Exchange, body: bytes | None, *, credential: bytes | None = None
) -> Fingerprint | None:
    """The write that a request is; None without a client request id, and for what is not a job write.

    `body` is all of it; none and an empty one are the same request. `credential` is the app's own
    `Authorization` where that is what tells callers apart, because the gateway passes it through.
    """
    route = exchange.route
    client_ids = _values(exchange, _CLIENT_REQUEST_ID)
    if route.job_kind is None or route.operation is None or not can_be_told(exchange):
        return None
    digest = _digest(
        (b"job write",),
        _caller(exchange),
        () if credential is None else (credential,),
        client_ids,
        (exchange.method.encode(),),
        (exchange.raw_path, exchange.query),
        _values(exchange, _OPERATION_ID),
        (body or b"",),
    )
    job_id = route.job_id if route.job_kind == "import" else _given_operation_id(exchange)
    return Fingerprint(digest.hex(), route.job_kind, route.operation, job_id)


def can_be_told(exchange: Exchange) -> bool:
    """Whether the request is a job write that can be told from others, if its body is kept."""
    kind, operation = exchange.route.job_kind, exchange.route.operation
    return kind is not None and operation in _WRITES and any(_values(exchange, _CLIENT_REQUEST_ID))


def operation_id(exchange: Exchange) -> str | None:
    """The id to add to a deletion that has none: the same for every send of it, in every gateway.

    None where the request has an operation-id or no client request id, or creates no deletion. It has to
    stand among the request's headers before `fingerprint` is taken.
    """
    route = exchange.route
    client_ids = _values(exchange, _CLIENT_REQUEST_ID)
    if (route.job_kind, route.operation) != ("deletion", "add") or not any(client_ids):
        return None
    if _values(exchange, _OPERATION_ID):
        return None
    digest = _digest((b"operation-id",), _caller(exchange), client_ids)
    return str(uuid.UUID(bytes=digest[:16], version=5))


def job_key(kind: str, job_id: str) -> str:
    """A job's name of fixed length, whatever its id."""
    return _digest((b"job",), (kind.encode(),), (job_id.encode(errors="surrogatepass"),)).hex()


def is_plain_id(job_id: str) -> bool:
    """Whether the id can stand in a header and in a path: visible ASCII, and no dot segment.

    An upstream may read other bytes in a way of its own, and URL parsers remove `.` and `..`.
    """
    return _PLAIN_ID.fullmatch(job_id) is not None and job_id not in {".", ".."}


def _given_operation_id(exchange: Exchange) -> str | None:
    values = _values(exchange, _OPERATION_ID)
    job_id = values[0].decode("latin-1") if len(values) == 1 else ""
    return job_id if is_plain_id(job_id) else None


def _values(exchange: Exchange, wanted: bytes) -> list[bytes]:
    return [value for name, value in exchange.headers if name == wanted]


def _caller(exchange: Exchange) -> Sequence[bytes]:
    return () if exchange.caller is None else (exchange.caller.encode(errors="surrogatepass"),)


def _digest(*fields: Sequence[bytes]) -> bytes:
    """SHA-256 with each count and length before what it counts, so that no two inputs run together."""
    hashed = hashlib.sha256()
    for values in fields:
        hashed.update(b"%d;" % len(values))
        for value in values:
            hashed.update(b"%d:" % len(value))
            hashed.update(value)
    return hashed.digest()
