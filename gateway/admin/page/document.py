"""The page and its assets as responses."""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.admin import replies
from gateway.admin.page import words
from gateway.admin.page.links import trace_link
from gateway.admin.page.timeline import timeline
from gateway.admin.page.traffic import traffic
from gateway.admin.page.verdict import verdict
from gateway.admin.replies import safe

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
_SECTIONS = ("health", "token", "traffic", "errors", "jobs")
_TYPES = {"page.css": "text/css", "page.js": "text/javascript"}


class Page:
    """The page's templates and assets; a template is read when it is first shown."""

    def __init__(self) -> None:
        self._assets = {name: (_HERE / "static" / name).read_bytes() for name in _TYPES}
        # Part of their addresses: an open page whose gateway was upgraded sees that it has to load anew.
        self._edition = sha256(b"".join(self._assets.values())).hexdigest()[:12]
        self._environment: Environment | None = None

    async def render(
        self, status: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], total: int
    ) -> Response:
        """The page for the object that `/api/status` gives, the jobs to show, and how many there are."""
        now, recent = status["now"], status["recent"]
        view = {
            "status": status,
            "now": now,
            "verdict": verdict(status),
            "app": traffic(recent["app"], recent["stepSeconds"]),
            "upstream": traffic(recent["upstream"], recent["stepSeconds"]),
            "timeline": timeline(jobs, total, now, status["traces"]["uiUrl"]),
        }
        sections = {name: await self._drawn(name, view) for name in _SECTIONS}
        return safe(HTMLResponse(await self._drawn("page", {**view, "sections": sections}), headers=_HEADERS))

    async def _drawn(self, name: str, view: Mapping[str, Any]) -> str:
        """One template, drawn; requests pass between two of them, as the whole page would hold the loop."""
        # Compiling one, at its first use, takes as long as drawing ten.
        template = await asyncio.to_thread(self._template, f"{name}.html")
        return template.render(view)

    def _template(self, name: str) -> "Template":
        if self._environment is None:
            self._environment = _environment(self._edition)
        return self._environment.get_template(name)

    async def asset(self, request: Request) -> Response:
        """The style or the script; they are small, and not cached as nothing here is."""
        name = request.path_params["name"]
        if name not in _TYPES:
            return await replies.not_found(request, KeyError(name))
        return safe(Response(self._assets[name], media_type=_TYPES[name]))


def _environment(edition: str) -> "Environment":
    # Imported when a page is first shown: 0.05 s of the time to ready, for what may never be asked for.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(edition=edition, trace_link=trace_link)
    environment.filters.update(
        clock=words.clock, duration=words.duration, iso=words.iso, visible=words.visible
    )
    return environment
