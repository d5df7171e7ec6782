"""The eight operations of the Jobs API (REST reference, api-version 2023-10-31).

Cancel and delete of an import have no 404 in the reference: an unknown id is its 400 `ValidationFailed`.
"""

import uuid
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from gateway.emulator.exchange import Answer, Call, ServiceError, json_answer, page_answer, whole_number
from gateway.emulator.jobs import DeleteJob, ImportJob, Status
from gateway.emulator.routing import Guard, Route

TIMEOUT_MINUTES: Final = range(15, 24 * 60 + 1)
DEFAULT_TIMEOUT: Final = 12 * 60


def add_import(call: Call) -> Answer:
    """ImportJobs_Add: 201; 400 ValidationFailed, JobLimitReached."""
    jobs, job_id = call.state.jobs, call.parameters["id"]
    body = call.json_object()
    uris = [blob_uri(body.get(name), name) for name in ("inputBlobUri", "outputBlobUri")]
    if job_id in jobs.imports:
        raise invalid(f"An import job with the id '{job_id}' already exists.")
    refuse_second(call)
    now, pace = call.state.clock(), call.state.settings
    starts = now + timedelta(seconds=pace.job_start_seconds)
    ends = starts + timedelta(seconds=pace.job_seconds)
    job = ImportJob(job_id, now, starts, ends, input_uri=uris[0], output_uri=uris[1])
    jobs.imports[job_id] = jobs.active = job
    return json_answer(201, job.wire())


def get_import(call: Call) -> Answer:
    """ImportJobs_GetById: 200; 404 ImportJobNotFound."""
    job = call.state.jobs.imports.get(call.parameters["id"])
    if job is None:
        raise ServiceError(
            404, "ImportJobNotFound", f"There is no import job with the id '{call.parameters['id']}'."
        )
    return json_answer(200, job.wire())


def list_imports(call: Call) -> Answer:
    """ImportJobs_List: 200, paged."""
    return page_answer(call, [job.wire() for job in call.state.jobs.imports.values()])


def cancel_import(call: Call) -> Answer:
    """ImportJobs_Cancel: 200 with the job `cancelling`; 400 ValidationFailed when it is finished or
    unknown.
    """
    job = known_import(call)
    if not job.active:
        raise invalid(f"The import job is {job.status.value} and cannot be cancelled.")
    if job.status is not Status.CANCELLING:
        job.cancel(call.state.clock(), call.state.settings.cancel_seconds)
    return json_answer(200, job.wire())


def delete_import(call: Call) -> Answer:
    """ImportJobs_Delete: 204; frees the id and stops nothing. 400 ValidationFailed when the id is unknown."""
    del call.state.jobs.imports[known_import(call).id]
    return Answer(204)


def add_deletion(call: Call) -> Answer:
    """DeleteJobs_Add: 202 with `Operation-Location` and `Operation-Id`; 400 ValidationFailed,
    JobLimitReached.
    """
    jobs, settings = call.state.jobs, call.state.settings
    timeout = timeout_of(call)
    job_id = call.header("operation-id") or uuid.uuid4().hex
    if job_id in jobs.deletions:
        raise invalid("Operation-Id already exists.")
    refuse_second(call)
    now = call.state.clock()
    starts = now + timedelta(seconds=settings.job_start_seconds)
    late = timeout < timedelta(seconds=settings.job_seconds)
    ends = starts + (timeout if late else timedelta(seconds=settings.job_seconds))
    job = DeleteJob(job_id, now, starts, ends, times_out=late)
    jobs.deletions[job_id] = jobs.active = job
    version = quote(call.query("api-version") or "", safe="")
    location = f"{call.base_url}/jobs/deletions/{quote(job_id, safe='')}?api-version={version}"
    headers = [("Operation-Location", location), ("Operation-Id", job_id), *pace(call, job)]
    return json_answer(202, job.wire(), headers)


def get_deletion(call: Call) -> Answer:
    """DeleteJobs_GetById: 200; 404 DeleteJobNotFound."""
    job = call.state.jobs.deletions.get(call.parameters["id"])
    if job is None:
        raise ServiceError(
            404, "DeleteJobNotFound", f"There is no delete job with the id '{call.parameters['id']}'."
        )
    return json_answer(200, job.wire(), pace(call, job))


def list_deletions(call: Call) -> Answer:
    """DeleteJobs_List: 200, paged."""
    return page_answer(call, [job.wire() for job in call.state.jobs.deletions.values()])


def known_import(call: Call) -> ImportJob:
    """The import of the path. Raises 400 ValidationFailed without one."""
    job = call.state.jobs.imports.get(call.parameters["id"])
    if job is None:
        raise invalid(f"There is no import job with the id '{call.parameters['id']}'.")
    return job


def refuse_second(call: Call) -> None:
    """Raises 400 JobLimitReached while a bulk job of either kind is active, deleted imports included."""
    active = call.state.jobs.active
    if active is not None:
        raise ServiceError(
            400, "JobLimitReached", f"The bulk job '{active.id}' is active; one is allowed at a time."
        )


def blob_uri(value: object, name: str) -> str:
    """An absolute http(s) URI. Raises 400 ValidationFailed."""
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
        except ValueError as error:
            raise invalid(f"{name} is not a URI.") from error
        if parts.scheme in ("http", "https") and parts.netloc:
            return value
    raise invalid(f"{name} is required and must be an absolute http or https URI.")


def timeout_of(call: Call) -> timedelta:
    """`timeoutInMinutes`, 15 minutes to 24 hours. Raises 400 ValidationFailed."""
    text = call.query("timeoutInMinutes")
    minutes = DEFAULT_TIMEOUT if text is None else whole_number(text)
    if minutes is None or minutes not in TIMEOUT_MINUTES:
        raise invalid("timeoutInMinutes must be a whole number from 15 to 1440.")
    return timedelta(minutes=minutes)


def pace(call: Call, job: DeleteJob) -> list[tuple[str, str]]:
    """`Retry-After` while the deletion is unfinished."""
    seconds = call.state.settings.retry_after
    return [("Retry-After", str(seconds))] if job.active and seconds is not None else []


def invalid(message: str) -> ServiceError:
    """400 ValidationFailed."""
    return ServiceError(400, "ValidationFailed", message)


ROUTES: Final = (
    Route("GET", "/jobs/imports", list_imports, Guard.JOBS),
    Route("PUT", "/jobs/imports/{id}", add_import, Guard.JOBS),
    Route("GET", "/jobs/imports/{id}", get_import, Guard.JOBS),
    Route("DELETE", "/jobs/imports/{id}", delete_import, Guard.JOBS),
    Route("POST", "/jobs/imports/{id}/cancel", cancel_import, Guard.JOBS),
    Route("POST", "/jobs/deletions", add_deletion, Guard.JOBS),
    Route("GET", "/jobs/deletions", list_deletions, Guard.JOBS),
    Route("GET", "/jobs/deletions/{id}", get_deletion, Guard.JOBS),
)
