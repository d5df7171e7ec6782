"""What can be set: one frozen model per section, with every key's type, bounds and default.

Field docstrings are the texts of `config.example.toml`; durations are seconds, sizes are bytes. `auth`,
`fleet`, `retry` and `upstream.circuit` are in files of their own. Checks that look at more than one key are
in `rules/`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.auth_sections import Auth
from gateway.config.fleet_section import Fleet
from gateway.config.resilience_sections import Circuit, Retry
from gateway.config.section import Port, Seconds, Secret, Section, Size, Staleness


class ListenTls(Section):
    """`listen.tls`: TLS on the data listener."""

    certificate_file: Path | None = None
    """Certificate chain in PEM; together with key_file it switches TLS on."""
    key_file: Path | None = None
    """Private key in PEM."""
    client_ca_file: Path | None = None
    """CA in PEM; when set, clients must show a certificate signed by it (mTLS)."""


class Listen(Section):
    """`listen`: where the app reaches the gateway."""

    host: str = "127.0.0.1"
    """Address of the data listener; anything but loopback needs auth.inbound or mTLS."""
    port: Port = 8080
    """Port of the data listener; 0 takes a free one."""
    unix_socket: Path | None = None
    """Listen on this Unix socket instead of host and port."""
    public_base_url: str | None = None
    """Base of rewritten links; default: scheme and allowed Host of the request."""
    allowed_hosts: tuple[str, ...] | None = None
    """Host names accepted, any port; default: loopback names, the bound address, public_base_url's host."""
    tls: ListenTls = ListenTls()


class Admin(Section):
    """`admin`: metrics, health and status."""

    host: str = "127.0.0.1"
    """Address of the admin listener."""
    port: Port = 9464
    """Port of the admin listener; 0 takes a free one."""
    token: Secret | None = None
    """Opens the status page and /api to peers not on loopback, as bearer token or any user's password."""


class UpstreamTimeout(Section):
    """`upstream.timeout`: how long each phase of a round trip may take."""

    connect: Seconds = 5.0
    """Name resolution, TCP and TLS."""
    pool: Seconds = 1.0
    """Waiting for a free upstream connection."""
    first_byte: Seconds = 60.0
    """From the end of the request to the response head."""
    query_first_byte: Seconds = 90.0
    """The same for POST /query, which may take 60 s upstream."""
    head_total: Seconds = 120.0
    """From the start of the request, its body included, to the response head."""
    read_idle: Seconds = 60.0
    """Between two pieces of the response body."""


class Upstream(Section):
    """`upstream`: the Azure Digital Twins instance."""

    base_url: str
    """https://<instance>.api.<region>.digitaltwins.azure.net; no path, no query."""
    engine: Literal["pyreqwest", "asyncio", "httpx"] = "pyreqwest"
    """HTTP engine; asyncio is the fastest; httpx is pure Python, keeps no connection alive and is slow."""
    allow_plain_http: bool = False
    """Allow http:// to an upstream that is not loopback: the token then travels in clear."""
    proxy: str | None = Field(default=None, repr=False)
    """Outbound HTTP proxy; HTTP_PROXY and HTTPS_PROXY are not read."""
    ca_file: Path | None = None
    """Trust this CA (PEM) as well as the public ones."""
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Round trips under way at once; more wait for timeout.pool, then get 503."""
    max_queued: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Round trips that may wait for a connection; more get 503 at once."""
    pool_idle: Seconds = 30.0
    """Close an idle upstream connection after this time; keep it below the upstream's own."""
    connection_age: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """Use an upstream connection for this time at most (less up to 10 %), so that a change of DNS is seen."""
    timeout: UpstreamTimeout = UpstreamTimeout()
    circuit: Circuit = Circuit()


class Routes(Section):
    """`routes`: what may be called."""

    deny: tuple[str, ...] = ()
    """Method and route template pairs that get 403, e.g. "POST /jobs/deletions"."""


class Tracing(Section):
    """`tracing`: W3C trace context and OpenTelemetry spans."""

    endpoint: str | None = None
    """Full OTLP/HTTP traces URL (…/v1/traces); unset: OTEL_EXPORTER_OTLP_* decide, else nothing is sent."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of traces sampled where no caller decided; unset: OTEL_TRACES_SAMPLER decides, else all."""
    trust: Literal["continue", "restart"] = "continue"
    """Continue the caller's trace, or start a new one that links to it."""
    honour_sampled: bool = True
    """Follow the caller's sampled flag; if false, sample_ratio decides for every request."""
    baggage: Literal["pass", "drop"] = "pass"
    """Forward the W3C baggage header (at most 8,192 bytes and 64 entries), or drop it."""
    ui_url: str | None = None
    """Where people look at a trace: the status page links here, with the id in place of {trace_id}."""


class Jobs(Section):
    """`jobs`: what is known of import and deletion jobs, and how the Jobs API is called."""

    max_tracked: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Jobs kept in the ledger; the oldest finished ones leave first."""
    store: str = "memory"
    """Where the ledger lives: memory, or sqlite:///path, a file on a local volume; it survives a restart."""
    coalesce: bool = True
    """Identical reads of jobs become one upstream request; only where the gateway owns the token."""
    max_staleness: Staleness = 1.0
    """Give a kept answer again for this time since its upstream request was sent; 0 keeps none."""
    terminal_staleness: Staleness = 1.0
    """The same for a job that has ended; a longer one may show an id that was used again elsewhere."""
    batch: bool = True
    """Let one list request answer the waiting reads of several jobs."""
    rate: Annotated[float, Field(ge=0, le=1_000)] = 1.0
    """Jobs requests per second to the upstream; 0 switches the pacing off."""
    burst: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Jobs requests that may go out at once after a pause."""
    max_wait: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    """Longest wait for a turn, then 429; a caller's `Prefer: wait=N` lowers it."""
    max_queued: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Jobs requests that may wait for a turn; more get 429 at once."""
    watch: Literal["seen", "all", "off"] = "seen"
    """Follow unfinished jobs to their end: those that were seen, all (lists to find others), or off."""
    span: Literal["child", "link"] = "child"
    """A finished job's span: a child of the request that created it, or a trace of its own with a link."""
    writes_once: bool = True
    """Send a job write that an SDK repeats with the same x-ms-client-request-id once, for 10 minutes."""
    inject_operation_id: bool = False
    """Add an operation-id, made from x-ms-client-request-id, to deletions that have none."""

    @property
    def store_file(self) -> Path | None:
        """The file of a `sqlite:///path` store, always absolute; None for any other text."""
        scheme, _, path = self.store.partition("://")
        if scheme != "sqlite" or not path.strip("/") or not path.startswith("/") or "\x00" in path:
            return None
        return Path("/" + path.lstrip("/"))


class Limits(Section):
    """`limits`: sizes and times of the app's side."""

    head_bytes: Annotated[int, Field(ge=1_024, le=1_048_576)] = 65_536
    """Request line and headers together; more gets 431."""
    header_count: Annotated[int, Field(ge=8, le=10_000)] = 100
    """Header lines of a request; more gets 431."""
    head_timeout: Seconds = 10.0
    """Time to send a request head; slower gets 408."""
    body_idle: Seconds = 30.0
    """Between two pieces of a request body; slower gets 408."""
    slow_reader: Seconds = 60.0
    """Time for the app to take a piece of the response; slower is cut."""
    request_body: Size | None = None
    """Largest request body; more gets 413; unset: no limit, bodies are streamed."""
    replay_body: Annotated[int, Field(ge=0, le=1_048_576)] = 65_536
    """Request bodies up to this size are kept, to be sent once more after a 401."""
    observed_body: Annotated[int, Field(ge=1_024, le=16_777_216)] = 1_048_576
    """Job and page bodies up to this size are read (job states, nextLink); larger ones pass unread."""
    keep_alive: Seconds = 75.0
    """Idle time after which an app's connection is closed."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Connections of apps held at once; for more, idle ones are closed, else the newest gets 503."""
    drain_delay: Annotated[float, Field(ge=0, le=300)] = 5.0
    """After SIGTERM keep accepting for this time, not ready; 0 as a native sidecar."""
    drain_timeout: Seconds = 25.0
    """From SIGTERM to the end of what is in flight, with drain_delay; store and spans get up to 4 s more."""


class Metrics(Section):
    """`metrics`: what /metrics shows."""

    extra_error_codes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")], ...] = ()
    """Further upstream error codes that may be label values; others count as "other"."""
    job_series: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Show adt_job_info and adt_job_status for this many of the newest jobs; 0 shows none."""


class Log(Section):
    """`log`: standard error output."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level written; each exchange is one line at info."""
    format: Literal["json", "console"] = "json"
    """One JSON object per line, or text for people."""


class Settings(Section):
    """Everything that can be set, validated."""

    upstream: Upstream
    listen: Listen = Listen()
    admin: Admin = Admin()
    auth: Auth = Auth()
    routes: Routes = Routes()
    tracing: Tracing = Tracing()
    jobs: Jobs = Jobs()
    fleet: Fleet = Fleet()
    limits: Limits = Limits()
    retry: Retry = Retry()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @property
    def owns_token(self) -> bool:
        """Whether the gateway, and not the app, holds the upstream's token."""
        return self.auth.mode not in {"passthrough", "none"}
