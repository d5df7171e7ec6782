"""Jobs created and polled within traces of apps, and the spans that arrive of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from gateway.emulator import EmulatorSettings
from tests.support.azure import Azure, running_azure
from tests.support.otlp import OtlpReceiver, ReceivedLink, ReceivedSpan, otlp_receiver
from tests.support.replays import SAS
from tests.support.wire import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "a3ce929d0e0e47364bf92f3577b34da6"
THIRD = "00000000000000000000000000000003"
CALLER = "00f067aa0ba902b7"
PUT, GET = "PUT /jobs/imports/{id}", "GET /jobs/imports/{id}"
JOB_ID = "az.digitaltwins.job.id"


@asynccontextmanager
async def traced(
    settings: EmulatorSettings | None = None, **jobs: Any
) -> AsyncIterator[tuple[Azure, OtlpReceiver]]:
    """Gateway, emulator and a receiver of spans that gets them all at the end of the gateway."""
    async with otlp_receiver() as receiver:
        environ = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
        sections = {"tracing": {"endpoint": receiver.url}, "jobs": jobs}
        async with running_azure(settings, environ, **sections) as azure:
            yield azure, receiver


def within(trace_id: str = TRACE, flags: str = "01") -> dict[str, str]:
    """The trace context of an app's call."""
    return {"traceparent": f"00-{trace_id}-{CALLER}-{flags}"}


def of_trace(receiver: OtlpReceiver, trace_id: str, kind: str) -> list[ReceivedSpan]:
    return [span for span in receiver.spans if (span.trace_id, span.kind) == (trace_id, kind)]


def jobs_in(receiver: OtlpReceiver) -> list[ReceivedSpan]:
    return [span for span in receiver.spans if span.name in {"import job", "deletion job"}]


def link_to(span: ReceivedSpan) -> ReceivedLink:
    return ReceivedLink(span.trace_id, span.span_id)


def nanoseconds(moment: datetime | None) -> int:
    assert moment is not None
    return round(moment.timestamp() * 1_000_000) * 1_000


async def created(azure: Azure, app: httpx.AsyncClient, job_id: str, **more: Any) -> None:
    """Create an import as soon as no other job is in the way."""
    headers = more.pop("headers", within())
    body = azure.import_body(sas=SAS, **more)

    async def accepted() -> bool:
        return (await app.put(f"/jobs/imports/{job_id}", json=body, headers=headers)).status_code == 201

    await until(accepted)


async def polled_to_its_end(app: httpx.AsyncClient, path: str) -> None:
    async def over() -> bool:
        return (await app.get(path, headers=within(OTHER))).json()["status"] in {"succeeded", "failed"}

    await until(over)


async def followed_to_their_end(azure: Azure, count: int) -> None:
    """Wait, without asking the gateway for a job, until it knows that so many have ended."""
    async with azure.operator() as operator:

        async def over() -> bool:
            known = (await operator.get("/api/jobs")).json()["value"]
            return sum(job["status"] in {"succeeded", "failed"} for job in known) == count

        await until(over)
