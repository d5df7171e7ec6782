"""Questions to a running gateway, and one clear line for whatever goes wrong.

The admin listener is asked for jobs, which sends nothing upstream; a cancel goes through the data listener,
as an app's would. No message holds a token or a key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from gateway._version import __version__
from gateway.console import trust
from gateway.console.job import Job, Unusable, read_job
from gateway.console.reach import BadUsage, Reach
from gateway.console.text import printable

MOST: Final = 1_000
"""Jobs in one answer of the gateway."""

_API_VERSION: Final = "2023-10-31"
ADMIN_TIMEOUT: Final = 10.0
CANCEL_TIMEOUT: Final = 180.0
"""Seconds; the gateway may wait for its turn first (`jobs.max_wait`), then for the service."""
_LIMITS: Final = httpx.Limits(keepalive_expiry=2.0)
"""The listener closes a connection that is idle for 5 s: none is used again when it is about to."""
_LONGEST_SEGMENT: Final = 8_000
_SHOWN: Final = ("id", "status", "createdDateTime", "lastActionDateTime", "finishedDateTime", "error")
"""Fields of a cancelled job that are shown: the blob URIs may hold a SAS, which is a secret."""


class Failure(Exception):
    """It did not work; the message is one line for people, without control characters."""


class Silent(Failure):
    """Nothing answers, which may pass by itself."""


class Unknown(Failure):
    """The gateway has not seen this job, or no longer knows it."""


class Refused(Failure):
    """The request got an error for an answer; `error` has its code and message."""

    def __init__(self, status: int, error: Mapping[str, str]) -> None:
        super().__init__(printable(f"{error['code']}: {error['message']} (HTTP {status})", limit=2_000))
        self.status = status
        self.error = error


@dataclass(frozen=True, slots=True)
class Listing:
    """Jobs, newest first; `total` also counts those that match but are not among them."""

    jobs: tuple[Job, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a cancel: the job without its blob URIs, and the trace of the request."""

    job: Mapping[str, Any]
    trace_id: str | None


class Admin:
    """The admin listener of a running gateway, to be used as a context manager."""

    def __init__(self, reach: Reach, timeout: float = ADMIN_TIMEOUT) -> None:
        """`timeout` in seconds, for each question. Raises BadUsage for a CA file that cannot be read."""
        self._name = reach.name
        self._holds_token = reach.secret is not None
        self._http = _open(reach, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def jobs(self, kinds: Iterable[str] = (), statuses: Iterable[str] = (), limit: int = MOST) -> Listing:
        """The newest jobs, of these kinds and in these statuses where some are named. Raises Failure."""
        kinds, statuses = tuple(kinds), tuple(statuses)
        answer = self._get("/api/jobs", {"kind": kinds, "status": statuses, "limit": limit})
        found = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise self._strange()
        jobs = tuple(self._job(value) for value in found)
        wanted = tuple(
            job for job in jobs if job.kind in (kinds or job.kind) and job.status in (statuses or job.status)
        )
        total = answer.get("total")
        if not isinstance(total, int) or len(wanted) < len(jobs):
            # A gateway that is older than this command knows no filters.
            total = len(wanted)
        return Listing(wanted[:limit], total)

    def job(self, kind: str, job_id: str) -> Job:
        """One job. Raises Unknown where the gateway does not know it, Failure for anything else."""
        try:
            return self._job(self._get(f"/api/jobs/{kind}/{_segment(job_id)}", {}))
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
        raise Unknown(f"The gateway knows no {kind} job {printable(job_id)}.")

    def _get(self, path: str, query: Mapping[str, Any]) -> Any:
        """The decoded answer; None for what is not JSON."""
        try:
            answer = self._http.get(path, params=query)
        except httpx.HTTPError as error:
            raise _silence(error, self._name, "--admin") from None
        match answer.status_code:
            case HTTPStatus.OK:
                return _decoded(answer)
            case HTTPStatus.UNAUTHORIZED if self._holds_token:
                raise Failure(f"The gateway at {self._name} does not take this admin.token.")
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                raise Failure(
                    f"The gateway at {self._name} shows jobs to its own machine, or with its admin.token:"
                    " set ADT_GATEWAY_ADMIN__TOKEN, or name its configuration with --config."
                )
        raise _refusal(answer, self._name, "--admin")

    def _job(self, value: object) -> Job:
        try:
            return read_job(value)
        except Unusable:
            raise self._strange() from None

    def _strange(self) -> Failure:
        return _stranger(self._name, "--admin", "not what it says of jobs")


def cancel(reach: Reach, job_id: str, timeout: float = CANCEL_TIMEOUT) -> Cancelled:
    """Cancel an import through the data listener.

    Raises Refused for an error, the gateway's or the service's, Failure where no answer came, and BadUsage
    for an id or a CA file that cannot be used.
    """
    path = f"/jobs/imports/{_segment(job_id)}/cancel"
    with _open(reach, timeout) as http:
        try:
            answer = http.post(path, params={"api-version": _API_VERSION})
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _silence(error, reach.name, "--gateway") from None
        except httpx.HTTPError as error:
            raise Failure(
                f"No answer came from {reach.name} ({type(error).__name__}): whether the job is being"
                " cancelled is not known; `adt-gateway jobs show` may tell."
            ) from None
    if answer.status_code != HTTPStatus.OK:
        raise _refusal(answer, reach.name, "--gateway")
    job = _decoded(answer)
    if not isinstance(job, dict):
        raise _stranger(reach.name, "--gateway", "HTTP 200 without a job")
    parts = answer.headers.get("traceresponse", "").split("-")
    return Cancelled({name: job[name] for name in _SHOWN if name in job}, parts[1] if parts[1:] else None)


def _open(reach: Reach, timeout: float) -> httpx.Client:
    headers = [(b"user-agent", f"adt-gateway/{__version__}".encode())]
    if reach.secret is not None:
        headers.append((reach.header, reach.secret))
    socket = str(reach.unix_socket) if reach.unix_socket else None
    return httpx.Client(
        base_url=reach.url,
        headers=headers,
        transport=httpx.HTTPTransport(verify=trust.context(reach), uds=socket, limits=_LIMITS),
        timeout=httpx.Timeout(timeout, connect=min(timeout, ADMIN_TIMEOUT)),
    )


def _segment(text: str) -> str:
    """The text as one segment of a path. Raises BadUsage for what cannot be one."""
    try:
        encoded = quote(text, safe="")
    except UnicodeEncodeError:
        raise BadUsage("ID must be UTF-8 text.") from None
    if not 0 < len(encoded) <= _LONGEST_SEGMENT:
        raise BadUsage("ID must not be empty, nor longer than a URL can be.")
    # Dots alone would be resolved on the way (RFC 3986, section 5.2.4).
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded


def _decoded(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _silence(error: httpx.HTTPError, name: str, option: str) -> Failure:
    """Why no answer came. Only a failed connect tells its text: that of others may repeat a header."""
    if isinstance(error, httpx.ConnectError) and (fault := trust.distrust(error, name, option)):
        return Failure(fault)
    if isinstance(error, httpx.ConnectError):
        return Silent(
            f"No gateway answers at {name} ({printable(str(error))}): is it running? {option} names another."
        )
    if isinstance(error, httpx.TimeoutException):
        return Silent(f"The gateway at {name} did not answer in time.")
    return Silent(f"What listens at {name} does not answer as a gateway does ({type(error).__name__}).")


def _stranger(name: str, option: str, what: str) -> Failure:
    return Failure(
        f"What answers at {name} is no adt-gateway, or one of another version ({what});"
        f" {option} names another."
    )


def _refusal(answer: httpx.Response, name: str, option: str) -> Failure:
    body = _decoded(answer)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return _stranger(name, option, f"HTTP {answer.status_code}")
    return Refused(answer.status_code, {"code": error["code"], "message": str(error.get("message", ""))})
