"""Imports that others have created at the service, as many at a time as a test wants."""

from datetime import timedelta

from gateway.emulator import RunningEmulator
from gateway.emulator.jobs import ImportJob, Status

_LONG = timedelta(days=1)


def created_elsewhere(cloud: RunningEmulator, *job_ids: str) -> None:
    """Imports that no gateway has heard of; they do not start before they are `ended_elsewhere`."""
    state = cloud.emulator.state
    now = state.clock()
    for job_id in job_ids:
        job = ImportJob(
            job_id, now, now + _LONG, now + _LONG, input_uri="http://a/i", output_uri="http://a/o"
        )
        state.jobs.imports[job_id] = job


def ended_elsewhere(cloud: RunningEmulator, *job_ids: str) -> None:
    """The imports have succeeded by now."""
    state = cloud.emulator.state
    for job_id in job_ids:
        state.jobs.imports[job_id].finish(Status.SUCCEEDED, state.clock())
