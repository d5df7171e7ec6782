"""`/api/status` and `/api/jobs…`: what the gateway knows, as JSON."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.replies import error, safe

MAX_LISTED = 1000
"""Jobs in one answer, newest first."""
_PIECE: Final = 25
"""Jobs in JSON between two turns of the loop, about a millisecond."""
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Json = Mapping[str, object]


class JobsView(Protocol):
    """The ledger as JSON objects."""

    @property
    def statuses(self) -> Mapping[str, Collection[str]]:
        """Every kind of job (`import`, `deletion`), with the statuses that it can have."""

    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Iterable[Json], int]:
        """At most `limit` jobs of these kinds in these statuses, newest first, and how many there are.

        They may be made as they are asked for, one by one.
        """

    def unfinished(self, limit: int) -> Sequence[Json]:
        """At most `limit` of the jobs that have not ended, newest first."""

    def job(self, kind: str, job_id: str) -> Json | None:
        """One job by kind (`import`, `deletion`) and id, or None."""


class Api:
    """The endpoints under `/api`."""

    def __init__(self, status: Callable[[], Json], jobs: JobsView) -> None:
        self._status = status
        self._jobs = jobs

    async def status(self, _request: Request) -> Response:
        """The gateway at a glance."""
        return safe(JSONResponse(self._status()))

    async def jobs(self, request: Request) -> Response:
        """The known jobs, newest first; `total` also counts those not listed.

        `kind` and `status`, each of which may be repeated, choose among them; `limit` lists fewer.
        """
        known = self._jobs.statuses
        try:
            kinds = _chosen(request, "kind", known)
            statuses = _chosen(request, "status", {status for kind in known.values() for status in kind})
            limit = _limit(request)
        except ValueError as problem:
            return error(400, "GatewayRequestInvalid", str(problem))
        listed, total = self._jobs.jobs(kinds, statuses, limit)
        body = f'{{"value":[{await _joined(listed)}],"total":{total}}}'
        return safe(Response(body, media_type="application/json"))

    async def job(self, request: Request) -> Response:
        """One job; its id is the decoded rest of the path, slashes included."""
        found = self._jobs.job(request.path_params["kind"], request.path_params["job_id"])
        if found is None:
            return error(404, "NotFound", "The gateway has not seen this job.")
        return safe(JSONResponse(found))


async def _joined(listed: Iterable[Json]) -> str:
    """The objects in JSON, a piece at a time: all of them would hold the loop for some 40 ms."""
    encoded = map(_JSON.encode, listed)
    pieces: list[str] = []
    while piece := list(islice(encoded, _PIECE)):
        pieces.extend(piece)
        await asyncio.sleep(0)
    return ",".join(pieces)


def _chosen(request: Request, name: str, known: Collection[str]) -> Collection[str]:
    """The values of a parameter, all of the known ones where it is absent. Raises ValueError for others."""
    chosen = request.query_params.getlist(name)
    if not set(chosen) <= set(known):
        raise ValueError(f"{name} must be one of {', '.join(sorted(known))}.")
    return chosen or known


def _limit(request: Request) -> int:
    """How many jobs to list. Raises ValueError for what is no number of jobs."""
    text = request.query_params.get("limit", str(MAX_LISTED))
    # The length is bounded before int() reads it, which takes long for many digits.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LISTED)) else 0
    if not 0 < limit <= MAX_LISTED:
        raise ValueError(f"limit must be a whole number from 1 to {MAX_LISTED}.")
    return limit
