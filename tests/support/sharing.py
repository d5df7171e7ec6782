"""Apps that read the same jobs at the same time, and an upstream that knows of every job it is asked for."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from tests.support import faults, http1
from tests.support.gateway import API, RunningGateway, merged, running_gateway
from tests.support.raw import RawResponse
from tests.support.upstream import Behaviour, Call
from tests.support.wire import ask, sample, until

LASTING = {"max_staleness": 60.0, "terminal_staleness": 60.0}
"""Answers are kept for longer than a test takes."""
OWN_TOKEN = {"mode": "static", "static": {"token": "the-gateways-own-token"}}
JSON = (b"Content-Type", b"application/json; charset=utf-8")
CACHE_STATUS = b"cache-status"
HIT = b"adt-gateway; hit"
MISS = b"adt-gateway; fwd=miss"
COLLAPSED = b"adt-gateway; fwd=miss; collapsed"
BATCHED = b"adt-gateway; fwd=miss; detail=batched"
BYPASS = b"adt-gateway; fwd=bypass"
TRACES = [f"{number:032x}" for number in range(1, 51)]
CALLERS = [[(b"traceparent", f"00-{trace}-00f067aa0ba902b7-01".encode())] for trace in TRACES]
"""Headers of fifty callers, each in a trace of its own."""


def import_target(job_id: str) -> str:
    """The target of an import's read; the id as it stands in the path."""
    return f"/jobs/imports/{job_id}?{API}"


def job(job_id: str, status: str = "running", **more: object) -> bytes:
    """An ImportJob as the service writes it."""
    created = "2026-01-01T00:00:00.0000000Z"
    return json.dumps({"id": job_id, "status": status, "createdDateTime": created, **more}).encode()


def page(*jobs: bytes, link: str | None = None) -> bytes:
    """A page of a list, holding these bytes as they are."""
    end = b"" if link is None else b', "nextLink": ' + json.dumps(link).encode()
    return b'{"value": [' + b" ,\n ".join(jobs) + b"]" + end + b"}"


class JobsService:
    """The Jobs API as a behaviour: each id has a body of its own, and the list of imports has them all."""

    def __init__(self, *listed: str) -> None:
        self.listed = listed
        """Ids on the first page of the list."""
        self.asked = 0
        """Reads so far; each answer has the number of its read."""
        self.gate = asyncio.Event()
        """Answers are held back until it is set."""
        self.gate.set()
        self.write: Behaviour = faults.reply(204)
        """What comes of everything that is no GET."""

    async def __call__(self, call: Call) -> None:
        """Answer one request."""
        if call.request.method != b"GET":
            await self.write(call)
            return
        await call.body()
        self.asked += 1
        headers = [JSON, (b"X-Ms-Request-Id", b"read-%d" % self.asked), *_echoes(call.request.headers)]
        body = self._body(call.request.path.decode(), self.asked)
        await self.gate.wait()
        await call.send_head(200, [*headers, (b"Content-Length", b"%d" % len(body))])
        await call.send(body)

    def _body(self, path: str, number: int) -> bytes:
        if path == "/jobs/imports":
            return page(*(job(job_id, read=number) for job_id in self.listed))
        return job(unquote(path.rpartition("/")[2]), read=number)


def _echoes(headers: http1.Pairs) -> http1.Pairs:
    """What an upstream may say about the one who asked."""
    ids = [value for name, value in headers if name.lower() == b"x-ms-client-request-id"]
    cookies = [(b"Set-Cookie", b"session=" + value) for value in ids]
    return [*cookies, *((b"x-ms-client-request-id", value) for value in ids)]


@asynccontextmanager
async def sharing_gateway(
    origin: str, /, *, engine: str = "pyreqwest", **sections: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway that owns its token and keeps what it has read; `sections` as of `running_gateway`."""
    base = {"upstream": {"engine": engine}, "auth": OWN_TOKEN, "jobs": LASTING}
    async with running_gateway(origin, **merged(base, sections)) as gateway:
        yield gateway


async def under_way(gateway: RunningGateway, count: int, method: str = "GET") -> None:
    """Wait until so many requests of the method are in the gateway."""
    line = f'http_server_active_requests{{http_request_method="{method}"}}'

    async def holds() -> bool:
        return await sample(gateway, line) == count

    await until(holds)


async def queued(gateway: RunningGateway, count: int, priority: str = "read") -> None:
    """Wait until so many requests of a priority wait for a turn."""
    line = f'adt_jobs_rate_queue_length{{priority="{priority}"}}'

    async def holds() -> bool:
        return await sample(gateway, line) == count

    await until(holds)


async def reads_counted(gateway: RunningGateway) -> dict[str, int]:
    """`adt_jobs_reads_total` by result, without those that are 0."""
    results = ("hit", "collapsed", "batched", "miss", "bypass")
    values = [await sample(gateway, f'adt_jobs_reads_total{{result="{result}"}}') for result in results]
    return {result: int(value) for result, value in zip(results, values, strict=True) if value}


async def crowd(
    gateway: RunningGateway, target: str, callers: Sequence[http1.Pairs]
) -> list["asyncio.Task[RawResponse]"]:
    """One read per caller, with the caller's headers, all of them in the gateway when this returns."""
    tasks = [asyncio.create_task(ask(gateway, target, headers=headers)) for headers in callers]
    await under_way(gateway, len(tasks))
    return tasks


def told(responses: Sequence[RawResponse]) -> list[bytes]:
    """How each was answered, sorted."""
    return sorted(response.value(CACHE_STATUS) or b"" for response in responses)


async def abandon(task: "asyncio.Task[RawResponse]") -> None:
    """The caller leaves: its connection is closed."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
