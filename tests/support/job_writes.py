"""Job writes as they arrive, what the service says of their jobs, and a gateway's memory of them."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from gateway import routes
from gateway.exchange import Exchange, RawHeaders
from gateway.jobs.instants import NANOSECONDS, format_instant
from gateway.jobs.writes import Fingerprint, JobRead, WritesOnce, fingerprint
from tests.support.stores import KeepingStore

SECRET = "sv=2025&sig=canary%2Fsecret"
BLOBS = {
    "inputBlobUri": f"https://acct.blob.core.windows.net/in/a.ndjson?{SECRET}",
    "outputBlobUri": f"https://acct.blob.core.windows.net/out/a.log?{SECRET}",
}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
VERSION = b"api-version=2023-10-31"


def import_body(**fields: object) -> bytes:
    """The body of a PUT."""
    return json.dumps({**BLOBS, **fields}).encode()


def arriving(
    method: str = "PUT",
    path: bytes = b"/jobs/imports/j1",
    *,
    query: bytes = VERSION,
    request_id: bytes | None = b"call-1",
    operation_id: bytes | None = None,
    caller: str | None = None,
) -> Exchange:
    """A request with its route, as the corridor has it."""
    headers: RawHeaders = [(b"host", b"localhost")]
    if request_id is not None:
        headers.append((b"x-ms-client-request-id", request_id))
    if operation_id is not None:
        headers.append((b"operation-id", operation_id))
    return Exchange(method, path, query, headers, route=routes.match(method, path), caller=caller)


def deletion(operation_id: bytes | None = None, *, request_id: bytes | None = b"call-1") -> Exchange:
    """`POST /jobs/deletions`."""
    return arriving("POST", b"/jobs/deletions", operation_id=operation_id, request_id=request_id)


def told(exchange: Exchange, body: bytes | None = None) -> Fingerprint:
    """The fingerprint of a request that has one."""
    found = fingerprint(exchange, body)
    assert found is not None
    return found


def put(request_id: bytes = b"call-1", path: bytes = b"/jobs/imports/j1") -> Fingerprint:
    """The fingerprint of an import's creation."""
    return told(arriving(path=path, request_id=request_id), import_body())


def wire_time(seconds: float) -> str:
    """A time in seconds since the epoch as the service writes it."""
    return format_instant(int(seconds * NANOSECONDS))


def job_body(job_id: str = "j1", *, made: float | None = NOON, **fields: object) -> bytes:
    """A job as the service sends it; an import has the blob URIs of `import_body`."""
    when = {} if made is None else {"createdDateTime": wire_time(made)}
    return json.dumps({"id": job_id, "status": "running", **when, **fields}).encode()


def import_job(job_id: str = "j1", *, made: float | None = NOON, **fields: object) -> bytes:
    """An ImportJob with the blob URIs of `import_body`."""
    return job_body(job_id, made=made, **{**BLOBS, **fields})


def http_date(seconds: float) -> bytes:
    """A `Date`, cut to whole seconds as on the wire."""
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True).encode()


def read(
    body: bytes | None, *, at: float = NOON, date: float | None = None, status: int = 200, code: bytes = b""
) -> JobRead:
    """The answer to a read; `at` by our clock, `date` by the service's."""
    headers: RawHeaders = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"x-ms-request-id", b"r-1"),
    ]
    if date is not None:
        headers.append((b"date", http_date(date)))
    if code:
        headers.append((b"x-ms-error-code", code))
    return JobRead(status, headers, body, at)


def error_body(code: str) -> bytes:
    """An ErrorResponse."""
    return json.dumps({"error": {"code": code, "message": "It is as it is."}}).encode()


def not_found(kind: str = "import", *, at: float = NOON) -> JobRead:
    """The 404 that is about the job."""
    code = "ImportJobNotFound" if kind == "import" else "DeleteJobNotFound"
    return read(error_body(code), at=at, status=404, code=code.encode())


@dataclass
class GatedStore(KeepingStore):
    """What it gets is durable at once, or when the gate opens where there is one; unless it is not well."""

    gate: asyncio.Event | None = None
    well: bool = True

    async def settled(self) -> bool:
        if self.gate is not None:
            await self.gate.wait()
        return self.well

    def holds(self, text: bytes) -> bool:
        """Whether the text stands anywhere in it."""
        return any(text in value for space in self.spaces.values() for value in space.values())


@dataclass
class Clocks:
    """A wall clock that can be set, and a steady one that only goes on."""

    wall: float = NOON
    steady: float = 1_000.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@dataclass
class Writes:
    """A gateway's memory of writes, that can end and start again with the same store."""

    most: int = 1_000
    store: GatedStore = field(default_factory=GatedStore)
    clocks: Clocks = field(default_factory=Clocks)

    def __post_init__(self) -> None:
        self.once = self._start()

    def restart(self, *, down: float = 0.0) -> None:
        """End without a word, and start again after a while; the steady clock begins anew."""
        self.clocks.wall += down
        self.clocks.steady = 5.0
        self.once = self._start()

    def stored(self) -> dict[str, bytes]:
        """What the store holds of writes."""
        return self.store.spaces.get("writes", {})

    def _start(self) -> WritesOnce:
        return WritesOnce(
            self.store, clock=lambda: self.clocks.wall, monotonic=lambda: self.clocks.steady, most=self.most
        )
