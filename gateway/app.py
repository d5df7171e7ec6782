"""Composition root: builds the long-lived objects, mounts proxy and admin, closes all in reverse order."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette

from gateway import errors, headers, status
from gateway._version import __version__
from gateway.access_log import AccessLog, LogOutput
from gateway.admin import create_admin
from gateway.admission import LOOPBACK_NAMES, Admission
from gateway.answer import Answers
from gateway.attempts import Attempts, Told
from gateway.callers import Callers
from gateway.config import Origin, Settings, parse_origin
from gateway.drain import Drain
from gateway.failures import REGISTRY
from gateway.job_requests import JobsSide, open_jobs
from gateway.metrics import Metrics
from gateway.proxy import Proxy
from gateway.recent import Recent
from gateway.resilience import Breaker, Retries
from gateway.routes import DenyList
from gateway.spans import Spans
from gateway.tokens import RefreshOutcome, Tokens, open_source
from gateway.upstream import Upstream, open_upstream

_circuit_log = logging.getLogger("gateway.circuit")

FLUSH_SECONDS = 3.0
"""Longest time for the last spans to be exported at shutdown."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the listeners serve, and the switch that ends it."""

    data_app: Starlette
    admin_app: Starlette
    callers: Callers
    drain: Drain


@asynccontextmanager
async def open_gateway(
    settings: Settings, environ: Mapping[str, str], log: LogOutput
) -> AsyncIterator[Gateway]:
    """Everything that lives longer than a request, for as long as the context lasts."""
    origin = parse_origin(settings.upstream.base_url)
    metrics = _metrics(settings, origin)
    recent = Recent(_upstream_codes(settings))
    drain = Drain()
    async with AsyncExitStack() as stack:
        spans = _open_spans(settings, environ, origin, metrics, stack)
        metrics.watch_log(dropped=lambda: log.dropped)
        tokens = await _open_tokens(settings, environ, spans, metrics, stack)
        upstream = open_upstream(settings.upstream, origin=origin.text, version=__version__)
        stack.push_async_callback(upstream.aclose)
        circuit = Breaker(settings.upstream.circuit, log=_circuit_log.log)
        metrics.watch_circuit(lambda: circuit.view().state)
        attempts = _attempts(settings, origin, upstream, tokens, Told(metrics, recent, circuit))
        jobs = await open_jobs(settings, attempts, spans, metrics, stack)
        callers = Callers(settings.auth.inbound, bearer_keys=settings.auth.mode != "passthrough")
        proxy = Proxy(
            callers=callers,
            admission=_admission(settings),
            attempts=attempts,
            job_reads=jobs.reads,
            job_writes=jobs.writes,
            answers=_answers(settings, origin, jobs, metrics),
            spans=spans,
            metrics=metrics,
            recent=recent,
            access_log=AccessLog(log),
            limits=settings.limits,
            drain=drain,
        )
        checks = status.health(settings, tokens, recent, circuit, drain, jobs.company)
        admin = create_admin(
            settings.admin,
            metrics=metrics,
            health=checks,
            status=status.Status(settings, tokens, jobs, recent, circuit, drain, checks),
            jobs=status.LedgerView(jobs.ledger),
        )
        yield Gateway(data_app=_every_path_to(proxy), admin_app=admin, callers=callers, drain=drain)


def _every_path_to(proxy: Proxy) -> Starlette:
    app = Starlette()
    # In place of routes and middleware: a pattern would not match every path, such as one with an encoded
    # line break, the proxy answers every error itself, and the layers between took 4 % of a request.
    app.middleware_stack = proxy
    return app


def _open_spans(
    settings: Settings, environ: Mapping[str, str], origin: Origin, metrics: Metrics, stack: AsyncExitStack
) -> Spans:
    spans = Spans.create(settings.tracing, environ, upstream=origin.text, version=__version__)
    stack.push_async_callback(spans.shutdown, FLUSH_SECONDS)
    metrics.watch_spans(dropped=lambda: spans.spans_dropped, export_failures=lambda: spans.export_failures)
    return spans


async def _open_tokens(
    settings: Settings,
    environ: Mapping[str, str],
    spans: Spans,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> Tokens | None:
    source = open_source(settings.auth, environ, instrument=spans.instrument_client)
    if source is None:
        return None

    def report(outcome: RefreshOutcome) -> None:
        metrics.token_refreshed(outcome.source, outcome.result, outcome.seconds, outcome.expires_on)

    def around(name: str) -> AbstractContextManager[object]:
        return spans.background("token refresh", attributes={"adt_gateway.token.source": name})

    tokens = Tokens(source, on_refresh=report, around=around)
    stack.push_async_callback(tokens.aclose)
    tokens.start()
    return tokens


def _metrics(settings: Settings, origin: Origin) -> Metrics:
    return Metrics(
        version=__version__,
        engine=settings.upstream.engine,
        server_address=origin.host,
        known_codes=_upstream_codes(settings),
        gateway_codes=frozenset(REGISTRY),
        normalisations=errors.REASONS,
        token_source=settings.auth.mode if settings.owns_token else None,
    )


def _upstream_codes(settings: Settings) -> frozenset[str]:
    return errors.REFERENCE_CODES.union(settings.metrics.extra_error_codes)


def _attempts(
    settings: Settings,
    origin: Origin,
    upstream: Upstream,
    tokens: Tokens | None,
    told: Told,
) -> Attempts:
    key_header = settings.auth.inbound.header.lower().encode()
    credentials = () if settings.auth.mode == "passthrough" else (b"authorization",)
    return Attempts(
        upstream=upstream,
        tokens=tokens,
        retries=Retries(settings.retry),
        told=told,
        longest=settings.upstream.timeout.head_total,
        authority=origin.authority.encode("ascii"),
        ending_here=headers.ending_here((key_header, *credentials)),
    )


def _answers(settings: Settings, origin: Origin, jobs: JobsSide, metrics: Metrics) -> Answers:
    return Answers(
        origin=origin,
        public_base_url=settings.listen.public_base_url,
        owns_token=settings.owns_token,
        observed_body=settings.limits.observed_body,
        jobs=jobs.observer,
        ledger=jobs.ledger,
        metrics=metrics,
    )


def _admission(settings: Settings) -> Admission:
    listen = settings.listen
    return Admission(
        allowed_hosts=None if listen.unix_socket is not None else _allowed_hosts(settings),
        public_base_url=listen.public_base_url,
        key_header=settings.auth.inbound.header,
        denied=DenyList(settings.routes.deny).refuses,
    )


def _allowed_hosts(settings: Settings) -> frozenset[str]:
    listen = settings.listen
    if listen.allowed_hosts is not None:
        return frozenset(listen.allowed_hosts)
    bound = f"[{listen.host}]" if ":" in listen.host else listen.host
    public = parse_origin(listen.public_base_url).host if listen.public_base_url else bound
    return LOOPBACK_NAMES | {bound, f"[{public}]" if ":" in public else public}
