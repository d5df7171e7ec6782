"""`/api/status` and `/api/jobs…`: what the gateway knows, as JSON."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.admin.replies import error, safe

MAX_LISTED = 1000
"""Jobs in one answer, newest first: more would hold the loop."""

Json = Mapping[str, object]


class JobsView(Protocol):
    """The ledger as JSON objects."""

    def __len__(self) -> int:
        """All known jobs."""

    def jobs(self, limit: int) -> Sequence[Json]:
        """At most `limit` jobs, newest first."""

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

    async def jobs(self, _request: Request) -> Response:
        """The known jobs, newest first; `total` also counts those not listed."""
        return safe(JSONResponse({"value": self._jobs.jobs(MAX_LISTED), "total": len(self._jobs)}))

    async def job(self, request: Request) -> Response:
        """One job; its id is the decoded rest of the path, slashes included."""
        found = self._jobs.job(request.path_params["kind"], request.path_params["job_id"])
        if found is None:
            return error(404, "NotFound", "The gateway has not seen this job.")
        return safe(JSONResponse(found))
