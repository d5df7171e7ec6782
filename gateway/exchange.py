"""The record of one request: what arrived, what was decided, what happened, when.

It is all that passes between the rooms. Rooms that tell the story (`spans`, `metrics`, `access_log`) only
read it. Clock readings are `time.perf_counter()` seconds; durations are seconds.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

RawHeaders = list[tuple[bytes, bytes]]
"""Header lines in order, names in lower case, duplicates kept."""


class Route(NamedTuple):
    """What the method and the raw path mean; every label here comes from a closed set."""

    template: str
    """`/jobs/imports/{id}`, or `unmatched`."""
    job_kind: str | None = None
    """`import` or `deletion` on the jobs routes."""
    job_id: str | None = None
    """The id in the path, percent-decoded once; None where the path has none."""
    operation: str | None = None
    """`add`, `get`, `list`, `cancel` or `delete` on the jobs routes."""
    pages: bool = False
    """Whether a 200 may carry `nextLink`."""
    jobs_api: bool = False
    """Whether the upstream counts the request against its jobs rate; some that match no template too."""


UNMATCHED = Route("unmatched")


class TraceIds(NamedTuple):
    """The exchange's place in its trace, as lower-case hex."""

    trace_id: str
    span_id: str
    """The gateway's server span."""
    sampled: bool
    response_header: bytes
    """The value of `traceresponse`."""


NOWHERE = TraceIds("0" * 32, "0" * 16, sampled=False, response_header=b"")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the connection, as the kernel and TLS say; nothing the app wrote."""

    uid: int | None = None
    """User of the process that connected; only on a Unix socket."""
    names: tuple[str, ...] = ()
    """subjectAltNames of the client's certificate, which the client CA signed."""


@dataclass(slots=True)
class Attempt:
    """One round trip to the upstream."""

    number: int
    """0 for the first; `http.request.resend_count` of the others."""
    started: float = 0.0
    finished: float = 0.0
    """When the body was relayed, dropped or broke; before that it is told to nobody."""
    status: int | None = None
    error_type: str | None = None
    """An error code of the gateway's, or the status as text for 4xx and 5xx."""
    request_id: str | None = None
    """`x-ms-request-id` of the response."""
    sent: bool = True
    """Whether the upstream may have got any of it; false only on evidence."""
    cancelled: bool = False
    """The client left; not an error of the upstream's."""


@dataclass(slots=True)
class Exchange:
    """One request from its first byte to the last of its response."""

    method: str
    raw_path: bytes
    query: bytes
    headers: RawHeaders
    scheme: str = "http"
    http_version: str = "1.1"
    client: str | None = None
    """Address of the peer; None on a Unix socket."""
    peer: Peer = Peer()
    host: bytes = b""

    started: float = 0.0
    started_ns: int = 0
    """Wall clock at `started`, nanoseconds since the epoch."""
    route: Route = UNMATCHED
    caller: str | None = None
    """What is known of who asks: name of its key, name in its certificate, `uid:1000`; for refusals too."""
    trace: TraceIds = NOWHERE
    client_request_id: str | None = None

    attempts: list[Attempt] = field(default_factory=list)
    status: int | None = None
    """What the app got; None where it left before the head."""
    error_code: str | None = None
    error_origin: str | None = None
    """`gateway` or `upstream`, on every error."""
    error_type: str | None = None
    """Set for 5xx and for a broken exchange (semantic convention `error.type`)."""
    normalised: str | None = None
    """What was amiss with an upstream error, from `errors.REASONS`; its body or its headers were mended."""
    request_id: str | None = None
    """`x-ms-request-id` of the response the app got."""
    job_id: str | None = None
    job_status: str | None = None
    """Status of the job as the response told it; free text, never a label."""
    active_job: str | None = None
    """`<kind>/<id>` of the job in the way, where the upstream answered JobLimitReached and it is known."""
    read_result: str | None = None
    """How a read of jobs was answered: `hit`, `collapsed`, `batched`, `miss` or `bypass`."""
    sent_before: bool = False
    """The same write was sent before, and what came of it is not known yet."""
    replayed: str | None = None
    """Where the answer to a repeated job write came from: `recorded` or `read`."""
    added_headers: RawHeaders = field(default_factory=list)
    """Response headers of the gateway's own, besides those that every response has."""

    bytes_in: int = 0
    bytes_out: int = 0
    app_wait: float = 0.0
    """Seconds spent waiting for the app to send its body or to take the response."""
    upstream_wait: float = 0.0
    """Seconds spent waiting for the upstream, apart from `app_wait`: for the head and each piece."""
    rate_wait: float = 0.0
    """Seconds spent waiting for a turn at the Jobs API."""
    finished: float = 0.0
    """When it was really over; before that it is told to nobody."""
    client_left: bool = False
    cut: bool = False
    """The response was cut after its head."""
    fields: dict[bytes, bytes] = field(init=False, repr=False, compare=False)
    """The first value of each request header."""

    def __post_init__(self) -> None:
        self.fields = dict(reversed(self.headers))

    def header(self, name: bytes) -> bytes | None:
        """First value of a request header, or None."""
        return self.fields.get(name)

    def add_header(self, name: bytes, value: bytes) -> None:
        """Add a request header of the gateway's own, behind the app's."""
        self.headers.append((name, value))
        self.fields.setdefault(name, value)

    @property
    def may_have_run(self) -> bool:
        """Whether the upstream may have carried the request out, or an earlier send of the same write.

        It has not where it answered 401.
        """
        refused = HTTPStatus.UNAUTHORIZED
        sent = any(attempt.sent and attempt.status != refused for attempt in self.attempts)
        return sent or self.sent_before

    @property
    def own_seconds(self) -> float:
        """Seconds the gateway itself took: all of it, less waiting for the upstream, the app and a turn."""
        own = self.finished - self.started - self.upstream_wait - self.app_wait - self.rate_wait
        return max(0.0, own)
