"""The story: one request's whole life, top to bottom."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway import errors, failures, routes
from gateway.access_log import AccessLog
from gateway.admission import Admission
from gateway.afterwards import Afterwards, each
from gateway.answer import Answers
from gateway.arrival import Receive, Scope, Send, read_exchange
from gateway.attempts import SAFE, Attempts, RoundTrip
from gateway.bodies import Body
from gateway.callers import Callers
from gateway.config import Limits
from gateway.downstream import Downstream
from gateway.drain import Drain
from gateway.exchange import Exchange, RawHeaders
from gateway.job_requests import AnswerAtHand, JobReads, JobWrites
from gateway.metrics import Metrics
from gateway.recent import Recent
from gateway.spans import ServerSpan, Spans

_READS = SAFE | {"OPTIONS"}
"""Methods that change nothing (RFC 9110, section 9.2.1)."""

_log = logging.getLogger("gateway.proxy")


@dataclass(frozen=True, slots=True)
class Proxy:
    """The ASGI application of the data listener; what it holds lives as long as the gateway."""

    callers: Callers
    admission: Admission
    attempts: Attempts
    job_reads: JobReads
    job_writes: JobWrites
    answers: Answers
    spans: Spans
    metrics: Metrics
    recent: Recent
    access_log: AccessLog
    limits: Limits
    drain: Drain
    over: Afterwards[tuple[Exchange, ServerSpan]] = field(init=False)
    """Exchanges that are over, and nobody has been told of."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "over", Afterwards(self._tell))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One exchange."""
        exchange = read_exchange(scope)
        downstream = Downstream(scope, receive, send, exchange, self.limits)
        exchange.route = routes.match(exchange.method, exchange.raw_path)
        exchange.job_id = exchange.route.job_id
        span = self.spans.open_exchange(exchange)
        self.metrics.exchange_started(exchange)
        try:
            stranger = self.callers.identify(exchange)
            downstream.check()
            self.admission.admit(exchange, stranger)
            self.drain.check()
            async with await self._answered(exchange, span, downstream) as response:
                kept, body, announced = await self.answers.shape(exchange, response, downstream)
                kept = self._own_headers(exchange, kept)
                await downstream.relay(response.status, kept, body, announced)
        except failures.ClientLeft:
            exchange.client_left = True
        except failures.ResponseCut:
            exchange.cut = True
        except asyncio.CancelledError:
            # The end of the drain; unanswered, the server would say 500, after which SDKs send a POST again.
            await self._fail(exchange, downstream, _out_of_time(exchange))
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a failure becomes an answer
            await self._fail(exchange, downstream, error)
        finally:
            downstream.close()
            exchange.finished = time.perf_counter()
            self.over.add((exchange, span))

    def _tell(self, over: list[tuple[Exchange, ServerSpan]]) -> None:
        each(self._tell_of, over)

    def _tell_of(self, ended: tuple[Exchange, ServerSpan]) -> None:
        exchange, span = ended
        self.metrics.exchange_finished(exchange)
        self.recent.exchange_finished(exchange)
        span.end(exchange)
        self.access_log.write(exchange)

    def _answered(
        self, exchange: Exchange, span: ServerSpan, downstream: Downstream
    ) -> Coroutine[Any, Any, RoundTrip | AnswerAtHand]:
        """The upstream's answer; the Jobs API has a pace, and answers that several may get."""
        # What is refused before its body is read keeps its connection where there is nothing to be read.
        downstream.body_finished = not downstream.has_body
        if not exchange.route.jobs_api:
            return self.attempts.answered(exchange, span, downstream)
        if exchange.method in _READS:
            return self.job_reads.answered(exchange, span, downstream)
        return self.job_writes.answered(exchange, span, downstream)

    async def _fail(self, exchange: Exchange, downstream: Downstream, error: Exception) -> None:
        """Answer with the failure; once the head is out the connection is cut instead.

        Returning without the end of the body is how an ASGI app cuts: truncation must look like truncation.
        """
        failure = errors.classify(error)
        if isinstance(failure, failures.Internal):
            _log.error("bug", exc_info=error, extra={"trace_id": exchange.trace.trace_id})
        exchange.error_code, exchange.error_origin = failure.code, "gateway"
        if downstream.response_started:
            exchange.error_type, exchange.cut = failure.code, True
            return
        rendered = errors.render(
            failure,
            method=exchange.method,
            sent=exchange.may_have_run,
            trace_id=exchange.trace.trace_id,
        )
        if rendered.status >= 500:  # noqa: PLR2004 - semantic conventions: 5xx is an error of the server span
            exchange.error_type = failure.code
        # A request whose framing is in doubt leaves the connection in doubt (RFC 9112, section 11.2).
        last = not downstream.body_finished or isinstance(failure, failures.RequestInvalid)
        kept = self._own_headers(exchange, rendered.headers, last=last)
        try:
            await downstream.relay(rendered.status, kept, Body(rendered.body), len(rendered.body))
        except (failures.ClientLeft, failures.ResponseCut):
            exchange.client_left = True

    def _own_headers(self, exchange: Exchange, kept: RawHeaders, *, last: bool = False) -> RawHeaders:
        out = [*kept, (b"traceresponse", exchange.trace.response_header), *exchange.added_headers]
        if last or self.drain.draining:
            out.append((b"connection", b"close"))
        return out


def _out_of_time(exchange: Exchange) -> failures.GatewayError:
    message = "The gateway has shut down before this was answered."
    unsent = failures.Draining(message, retry_after=1)
    return failures.UpstreamTimeout(message) if exchange.may_have_run else unsent
