"""The admin application: its routes, and what each needs to read.

`/metrics`, `/livez` and `/readyz` are open to every peer; the page and `/api` ask `Access` first. All of it
is read only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.admin import replies
from gateway.admin.access import Access
from gateway.admin.api import Api, JobsView
from gateway.admin.health import CheckResult, Health
from gateway.admin.page import Page, latest
from gateway.admin.replies import safe
from gateway.config import Admin

_ERRORS = MappingProxyType(
    {404: replies.not_found, 405: replies.method_not_allowed, Exception: replies.internal}
)

Endpoint = Callable[[Request], Awaitable[Response]]


class MetricsView(Protocol):
    """What `/metrics` shows."""

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Body and content type for an Accept header."""


def create_admin(
    settings: Admin,
    *,
    metrics: MetricsView,
    health: Health,
    status: Callable[[], Mapping[str, object]],
    jobs: JobsView,
) -> Starlette:
    """The admin listener's ASGI application; serve it without trust in `X-Forwarded-*`."""
    access, api, page, turn = Access(settings), Api(status, jobs), Page(), asyncio.Lock()
    app = Starlette(
        routes=[
            Route("/metrics", _at_home(access, _scrape(metrics))),
            Route("/livez", _alive),
            Route("/readyz", _readiness(health)),
            Route("/", _locked(access, _in_turn(turn, _overview(page, status, jobs)))),
            Route("/static/{name}", _locked(access, page.asset)),
            Route("/api/status", _locked(access, _in_turn(turn, api.status))),
            Route("/api/jobs", _locked(access, _in_turn(turn, api.jobs))),
            Route("/api/jobs/{kind}/{job_id:path}", _locked(access, api.job)),
        ],
        exception_handlers=_ERRORS,
    )
    # A redirect would carry the caller's Host back to it.
    app.router.redirect_slashes = False
    return app


def _locked(access: Access, endpoint: Endpoint) -> Endpoint:
    """The endpoint for those who may see it; the others get the refusal."""

    async def unlocked(request: Request) -> Response:
        refusal = access.refusal(request)
        return replies.refused(refusal) if refusal else await endpoint(request)

    return unlocked


def _at_home(access: Access, endpoint: Endpoint) -> Endpoint:
    """The endpoint for everybody but web pages of other origins."""

    async def homely(request: Request) -> Response:
        refusal = access.foreign(request)
        return replies.refused(refusal) if refusal else await endpoint(request)

    return homely


def _in_turn(turn: asyncio.Lock, endpoint: Endpoint) -> Endpoint:
    """The endpoint, one answer at a time: many that ask share a part of the loop, and never all of it."""

    async def patient(request: Request) -> Response:
        async with turn:
            return await endpoint(request)

    return patient


def _scrape(metrics: MetricsView) -> Endpoint:
    async def scraped(request: Request) -> Response:
        body, content_type = await metrics.scrape(request.headers.get("accept", ""))
        return safe(Response(body, headers={"content-type": content_type}))

    return scraped


def _overview(page: Page, status: Callable[[], Mapping[str, object]], jobs: JobsView) -> Endpoint:
    async def drawn(_request: Request) -> Response:
        shown, total = latest(jobs)
        await asyncio.sleep(0)  # with a long ledger either half is milliseconds; requests pass between them
        return await page.render(status(), shown, total)

    return drawn


async def _alive(_request: Request) -> Response:
    """The process answers; that is all a restart could mend."""
    return safe(PlainTextResponse("ok\n"))


def _readiness(health: Health) -> Endpoint:
    async def told(request: Request) -> Response:
        report = health.report()
        ready = all(result.ok for result in report)
        lines = [_line(result) for result in report] if "verbose" in request.query_params else []
        text = "\n".join([*lines, "ready" if ready else "not ready", ""])
        return safe(PlainTextResponse(text, status_code=200 if ready else 503))

    return told


def _line(result: CheckResult) -> str:
    return f"{'[+]' if result.ok else '[-]'} {result.name}: {result.detail}"
