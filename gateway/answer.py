"""What the app gets of an upstream's response: errors normalised, links led back, jobs observed.

Bodies are read only where there is a reason to; everything else is relayed as it comes.
"""

from functools import partial
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote

from gateway import bodies, errors, headers, links
from gateway.config.origin import Origin
from gateway.downstream import Downstream
from gateway.exchange import Exchange, RawHeaders
from gateway.jobs import JobObserver, Ledger
from gateway.metrics import Metrics

_OK = 200
_FIRST_ERROR = 400
_Read = tuple[RawHeaders, bodies.Body, bytes | None, bytes | None]
"""Headers and body for the app; the body as the jobs room reads it, and its SHA-256, where known."""


class UpstreamAnswer(bodies.Readable, Protocol):
    """A response whose head has arrived."""

    @property
    def status(self) -> int:
        """Its status."""

    @property
    def headers(self) -> RawHeaders:
        """Its headers, names in lower case."""

    def whole(self) -> bytes | None:
        """All of its body, where that is here already; it is read by that."""

    @property
    def observed(self) -> bool:
        """Whether the ledger has been told of it already."""


class Answers:
    """Shapes responses; one for the life of the gateway."""

    def __init__(
        self,
        *,
        origin: Origin,
        public_base_url: str | None,
        owns_token: bool,
        observed_body: int,
        jobs: JobObserver,
        ledger: Ledger,
        metrics: Metrics,
    ) -> None:
        """`observed_body` is the largest body in bytes that is read for links and jobs."""
        self._origin = origin
        self._next_links = links.NextLinks(origin)
        self._public_base = public_base_url.rstrip("/").encode() if public_base_url else None
        self._owns_token = owns_token
        self._cap = observed_body
        self._jobs = jobs
        self._ledger = ledger
        self._metrics = metrics

    async def shape(
        self, exchange: Exchange, response: UpstreamAnswer, downstream: Downstream
    ) -> tuple[RawHeaders, bodies.Readable, int | None]:
        """Headers, body and Content-Length for the app; raises what reading the upstream's body raises."""
        status = response.status
        kept = headers.to_downstream(response.headers)
        fields = dict(reversed(kept))
        request_id = fields.get(b"x-ms-request-id")
        exchange.request_id = request_id.decode("latin-1") if request_id is not None else None
        if not links.LINK_HEADERS.isdisjoint(fields):
            kept = links.rewrite_headers(kept, self._origin, self._base(exchange))
        body: bodies.Readable = response
        plain = digest = None
        wanted = not response.observed and self._jobs.wants(exchange, status)
        if status >= _FIRST_ERROR:
            kept, body, plain, digest = await self._error(exchange, response, kept, downstream)
            fields = dict(reversed(kept))
        elif exchange.route.pages and status == _OK and exchange.method == "GET":
            kept, body, plain, digest = await self._page(exchange, response, kept, downstream, wanted=wanted)
            fields = dict(reversed(kept))
        elif (whole := response.whole()) is not None:
            body = bodies.Body(whole)
            if wanted and len(whole) <= self._cap:
                plain = bodies.decoded(whole, fields.get(b"content-encoding"), self._cap)
        length = fields.get(b"content-length")
        announced = None if length is None else int(length)
        if wanted and plain is not None:
            self._jobs.observe(exchange, status, kept, plain, digest)
        elif wanted:
            observe = partial(self._observe, exchange, status, kept, fields.get(b"content-encoding"))
            body = bodies.Copied(body, self._cap, announced, observe)
        return kept, body, announced

    async def _error(
        self, exchange: Exchange, response: UpstreamAnswer, kept: RawHeaders, downstream: Downstream
    ) -> _Read:
        body = bodies.Body(b"", response)
        if errors.reads_error(method=exchange.method, status=response.status, headers=kept):
            body = await downstream.race(bodies.read_up_to(response, errors.ERROR_BODY_CAP))
        normalised = errors.normalise(
            method=exchange.method,
            status=response.status,
            headers=kept,
            body=body.whole,
            owns_token=self._owns_token,
        )
        exchange.error_code = normalised.code
        exchange.error_origin = "upstream"
        exchange.normalised = normalised.reason
        if normalised.code == "JobLimitReached":
            self._name_active_job(exchange)
        if response.status >= 500:  # noqa: PLR2004 - semantic conventions: 5xx is an error of the server span
            exchange.error_type = str(response.status)
        shown = body if normalised.body is None else bodies.Body(normalised.body)
        return normalised.headers, shown, body.whole, None

    async def _page(
        self,
        exchange: Exchange,
        response: UpstreamAnswer,
        kept: RawHeaders,
        downstream: Downstream,
        *,
        wanted: bool,
    ) -> _Read:
        body = await downstream.race(bodies.read_up_to(response, self._cap))
        if body.whole is None:
            self._metrics.body_unread("too_large")
            return kept, body, None, None
        coding = headers.first(kept, b"content-encoding")
        plain = bodies.decoded(body.whole, coding, self._cap)
        if plain is None:
            self._metrics.body_unread("encoding")
            return kept, body, None, None
        # The jobs room needs it to know what it has read before, so that both know a page by it.
        digest = sha256(plain).digest() if wanted else None
        rewritten = self._next_links.rewrite(plain, self._base(exchange), digest)
        if rewritten is not plain:
            body = bodies.Body(rewritten)
            kept = headers.replaced(kept, b"content-encoding", None)
            kept = headers.replaced(kept, b"content-length", b"%d" % len(rewritten))
        return kept, body, plain, digest

    def _observe(
        self,
        exchange: Exchange,
        status: int,
        kept: RawHeaders,
        coding: bytes | None,
        body: bytes | None,
    ) -> None:
        """Show the jobs room an answer that has passed."""
        plain = None if body is None else bodies.decoded(body, coding, self._cap)
        self._jobs.observe(exchange, status, kept, plain)

    def _name_active_job(self, exchange: Exchange) -> None:
        """Say which job is in the way, where the ledger knows; the body stays the upstream's."""
        active = self._ledger.active_job()
        if active is not None:
            exchange.active_job = f"{active.kind}/{quote(active.id, safe='')}"
            exchange.added_headers.append((b"x-gateway-active-job", exchange.active_job.encode("ascii")))

    def _base(self, exchange: Exchange) -> bytes:
        """Where links lead back to; the Host was checked against the allow-list."""
        return self._public_base or exchange.scheme.encode() + b"://" + exchange.host
