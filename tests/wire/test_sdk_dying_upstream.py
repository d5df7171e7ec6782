"""The Azure SDK for Python, with its own retries, on an upstream that dies at every stage of a write.

`POST /jobs/deletions` deletes everything, so it is what must not go twice: not by the gateway, and not since
what the gateway answers makes the SDK send it again. Import jobs too, whose PUT the SDK repeats more freely.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core._generated.models import ImportJob
from azure.digitaltwins.core.aio import DigitalTwinsClient as AioClient

from tests.support import faults
from tests.support.addresses import deaf_origin, refusing_origin
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.sdk import sdk_options
from tests.support.upstream import Behaviour, Call, FaultUpstream, fault_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = ("aio", "sync")
JOB = b'{"id": "job-1", "status": "notstarted", "createdDateTime": "2026-01-01T00:00:00Z"}'
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
WHOLE = ACCEPTED + b"Content-Length: %d\r\n\r\n" % len(JOB) + JOB
UNSENT: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "refused": refusing_origin,
    "never accepted": deaf_origin,
}
"""Stages before there is a connection: nothing can have been sent, so the SDK may send again."""
CUT_SHORT = {"at its acceptance": 0, "inside the request line": 10, "inside the head": 60}
"""Bytes after which the connection is reset."""


async def _after_the_head(call: Call) -> None:
    call.reset()


DYING: dict[str, Behaviour] = {
    "after the request's head": _after_the_head,
    "after the request": faults.cut(),
    "after the request, reset": faults.cut(reset=True),
    "inside the status line": faults.cut(b"HTTP/1.1 2"),
    "inside the answer's head": faults.cut(ACCEPTED + b"Content-"),
    "behind the answer's head": faults.cut(ACCEPTED + b"Content-Length: 82\r\n\r\n"),
    "inside the answer's body": faults.cut(WHOLE[:-20]),
    "behind an answer without Operation-Location": faults.cut(WHOLE),
    "never": faults.never(),
    "never, inside the answer's head": faults.never(ACCEPTED),
    "never, inside the answer's body": faults.never(WHOLE[:-20]),
    "with no HTTP": faults.cut(b"garbage\r\n\r\n"),
}
BROKEN: dict[str, Behaviour] = {
    "500": faults.reply(500),
    "502": faults.reply(502),
    "503": faults.reply(503),
    "504": faults.reply(504),
    "500 with Retry-After": faults.reply(500, b"", [(b"Retry-After", b"0")]),
    "503 with Retry-After": faults.reply(503, b"", [(b"Retry-After", b"0")]),
}
"""What the SDK itself sends a POST again for: it takes `jobs.writes_once` to make one of them."""
SENDS = 4
"""Of one request, by the SDK's own retries."""


@asynccontextmanager
async def gateway_to(origin: str, *, once: bool) -> AsyncIterator[RunningGateway]:
    """A gateway that waits for 0.4 s at most, with or without the record of job writes."""
    timeout = {"connect": 0.2, "first_byte": 0.4, "read_idle": 0.4}
    async with running_gateway(origin, upstream={"timeout": timeout}, jobs={"writes_once": once}) as gateway:
        yield gateway


@pytest.fixture(scope="module", params=[True, False], ids=["writes once", "writes as they come"])
def once(request: pytest.FixtureRequest) -> bool:
    """`jobs.writes_once`."""
    return bool(request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(once: bool, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """For the module."""
    async with gateway_to(module_upstream.origin, once=once) as gateway:
        yield gateway


async def written(endpoint: str, client: str, write: str) -> object:
    """What the SDK returns, or the error that it raises."""
    options = sdk_options(retry_backoff_factor=0.01)
    try:
        if client == "sync":
            return await asyncio.to_thread(_written_by_sync, endpoint, options, write)
        async with AioClient(endpoint, **options) as aio:
            if write == "POST":
                return await (await aio._client.delete_jobs.begin_add()).result()
            return await aio._client.import_jobs.add("job-1", _import())
    except AzureError as error:
        return error


def _written_by_sync(endpoint: str, options: dict[str, Any], write: str) -> object:
    with DigitalTwinsClient(endpoint, **options, raw_response_hook=_read)._client as operations:
        if write == "POST":
            return operations.delete_jobs.begin_add().result()
        return operations.import_jobs.add("job-1", _import())


def _read(response: PipelineResponse[Any, Any]) -> None:
    """Let go of the socket of an answer that the SDK's retries drop unread."""
    if response.http_response.status_code >= 400:
        response.http_response.read()


def _import() -> ImportJob:
    return ImportJob(input_blob_uri="https://blob.test/in", output_blob_uri="https://blob.test/out")


def writes_at(upstream: FaultUpstream) -> int:
    """How many writes reached the upstream."""
    return sum(seen.method in {b"POST", b"PUT"} for seen in upstream.requests)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stage", DYING)
async def test_deletion_reaches_a_dying_upstream_once(
    relay: RunningGateway, upstream: FaultUpstream, stage: str, client: str
) -> None:
    """One POST, whatever the SDK does about it, with `jobs.writes_once` off too: it is told 502, or cut."""
    upstream.on("/jobs/deletions", DYING[stage])
    await written(relay.data, client, "POST")
    assert writes_at(upstream) == 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stage", CUT_SHORT)
async def test_deletion_whose_connection_is_reset_is_sent_once(once: bool, stage: str, client: str) -> None:
    """Reset before the request was whole: at most one connection carried any of it."""
    async with fault_upstream() as upstream, gateway_to(upstream.origin, once=once) as gateway:
        upstream.patience = CUT_SHORT[stage]
        assert isinstance(await written(gateway.data, client, "POST"), AzureError)
        assert not upstream.requests
        assert len([data for data in upstream.cut_short if data]) <= 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stage", BROKEN)
async def test_deletion_that_the_upstream_answers_with_an_error(
    relay: RunningGateway, upstream: FaultUpstream, once: bool, stage: str, client: str
) -> None:
    """The SDK repeats after ADT's own 500, 503 and 504: `jobs.writes_once` makes one of it, and without it
    each goes out, as it would without a gateway.
    """
    upstream.on("/jobs/deletions", BROKEN[stage])
    assert isinstance(await written(relay.data, client, "POST"), AzureError)
    repeats = stage != "502" and not once
    assert writes_at(upstream) == (SENDS if repeats else 1)


@pytest.mark.parametrize("write", ["POST", "PUT"])
@pytest.mark.parametrize("where", UNSENT)
@pytest.mark.slow
async def test_write_that_could_not_be_sent(once: bool, where: str, write: str) -> None:
    """Nothing was sent, so the SDK is told 503 with Retry-After, and tries as often as it likes."""
    async with AsyncExitStack() as stack:
        origin = stack.enter_context(UNSENT[where]())
        gateway = await stack.enter_async_context(gateway_to(origin, once=once))
        failures = await asyncio.gather(*(written(gateway.data, client, write) for client in CLIENTS))
        assert {getattr(failure, "status_code", None) for failure in failures} == {503}
    assert len(gateway.exchanges()) == SENDS * len(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stage", [*DYING, *BROKEN])
async def test_import_reaches_a_dying_upstream_once(
    relay: RunningGateway, upstream: FaultUpstream, once: bool, stage: str, client: str
) -> None:
    """The SDK repeats a PUT after any 5xx: one goes out; without `jobs.writes_once` as many as it sends."""
    upstream.on("/jobs/imports/job-1", {**DYING, **BROKEN}[stage])
    await written(relay.data, client, "PUT")
    assert 1 <= writes_at(upstream) <= (1 if once else SENDS)
