"""What the app gets of an upstream's response: errors normalised, links led back, jobs observed.

Bodies are read only where there is a reason to; everything else is relayed as it comes.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from gateway import bodies, errors, headers, links
from gateway.config.origin import Origin
from gateway.exchange import Exchange, RawHeaders
from gateway.jobs import JobObserver, Ledger
from gateway.metrics import Metrics

_OK = 200
_FIRST_ERROR = 400


class UpstreamAnswer(bodies.Readable, Protocol):
    """A response whose head has arrived."""

    @property
    def status(self) -> int:
        """Its status."""

    @property
    def headers(self) -> RawHeaders:
        """Its headers, names in lower case."""

    @property
    def observed(self) -> bool:
        """Whether the ledger has been told of it already."""


@dataclass(slots=True)
class Answer:
    """A response ready to be relayed."""

    status: int
    headers: RawHeaders
    body: bodies.Body
    observed: bool = False
    """Whether the jobs room has seen the body, or need not."""
    plain: bytes | None = None
    """The body as the jobs room reads it, where that is known before the relay."""


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
        self._public_base = public_base_url.rstrip("/").encode() if public_base_url else None
        self._owns_token = owns_token
        self._cap = observed_body
        self._jobs = jobs
        self._ledger = ledger
        self._metrics = metrics

    async def shape(self, exchange: Exchange, response: UpstreamAnswer) -> Answer:
        """The answer to relay; raises what reading the upstream's body raises."""
        kept = headers.to_downstream(response.headers)
        request_id = headers.first(kept, b"x-ms-request-id")
        exchange.request_id = request_id.decode("latin-1") if request_id is not None else None
        base = self._base(exchange)
        kept = links.rewrite_headers(kept, self._origin, base)
        if response.status >= _FIRST_ERROR:
            return await self._error(exchange, response, kept)
        if exchange.route.pages and response.status == _OK and exchange.method == "GET":
            return await self._page(response, kept, base)
        return Answer(response.status, kept, bodies.Body(b"", response), response.observed)

    async def _error(self, exchange: Exchange, response: UpstreamAnswer, kept: RawHeaders) -> Answer:
        if errors.reads_error(method=exchange.method, status=response.status, headers=kept):
            body = await bodies.read_up_to(response, errors.ERROR_BODY_CAP)
        else:
            body = bodies.Body(b"", response)
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
        if normalised.body is not None:
            body = bodies.Body(normalised.body, None)
        return Answer(response.status, normalised.headers, body, response.observed, body.whole)

    async def _page(self, response: UpstreamAnswer, kept: RawHeaders, base: bytes) -> Answer:
        body = await bodies.read_up_to(response, self._cap)
        if body.whole is None:
            self._metrics.body_unread("too_large")
            return Answer(response.status, kept, body, response.observed)
        coding = headers.first(kept, b"content-encoding")
        plain = bodies.decoded(body.whole, coding, self._cap)
        if plain is None:
            self._metrics.body_unread("encoding")
            return Answer(response.status, kept, body, response.observed)
        rewritten = links.rewrite_next_link(plain, self._origin, base)
        if rewritten != plain:
            body = bodies.Body(rewritten, None)
            kept = headers.replaced(kept, b"content-encoding", None)
            kept = headers.replaced(kept, b"content-length", b"%d" % len(rewritten))
        return Answer(response.status, kept, body, response.observed, plain)

    async def pieces(self, exchange: Exchange, answer: Answer) -> AsyncIterator[bytes]:
        """The body's pieces, and the jobs room's look at them once the last has passed."""
        if answer.observed or not self._jobs.wants(exchange, answer.status):
            async for piece in answer.body.pieces():
                yield piece
            return
        copy = bodies.Copy(self._cap)
        async for piece in answer.body.pieces():
            if answer.plain is None:
                copy.add(piece)
            yield piece
        body = answer.plain
        if body is None and copy.whole is not None:
            coding = headers.first(answer.headers, b"content-encoding")
            body = bodies.decoded(copy.whole, coding, self._cap)
        self._jobs.observe(exchange, answer.status, answer.headers, body)

    def _name_active_job(self, exchange: Exchange) -> None:
        """Say which job is in the way, where the ledger knows; the body stays the upstream's."""
        active = self._ledger.active_job()
        if active is not None:
            exchange.active_job = f"{active.kind}/{quote(active.id, safe='')}"
            exchange.added_headers.append((b"x-gateway-active-job", exchange.active_job.encode("ascii")))

    def _base(self, exchange: Exchange) -> bytes:
        """Where links lead back to; the Host was checked against the allow-list."""
        return self._public_base or exchange.scheme.encode() + b"://" + exchange.host
