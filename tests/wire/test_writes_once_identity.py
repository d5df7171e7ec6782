"""Which requests are one write, whose answer is given again, and which are not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.support.azure import Azure, fast, running_azure
from tests.support.replays import (
    CANCEL,
    DELETE,
    DELETE_ALL,
    DELETE_ALL_NAMED,
    REPLAYED,
    REQUEST_ID,
    Write,
    an_import_of_old,
    arrival,
    forget_jobs,
    put_import,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = {"one": "key-of-one-0123456789abcdef", "other": "key-of-other-0123456789abcdef"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole() -> AsyncIterator[Azure]:
    """A gateway for the module that knows two callers, whose upstream has jobs that run for a minute."""
    async with running_azure(fast(job_seconds=60), auth={"inbound": {"keys": KEYS}}) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def azure(whole: Azure) -> Azure:
    forget_jobs(whole)
    return whole


@pytest_asyncio.fixture(loop_scope="module")
async def app(azure: Azure) -> AsyncIterator[httpx.AsyncClient]:
    async with azure.app(headers={"x-gateway-key": KEYS["one"]}) as client:
        yield client


@pytest.fixture
def own_id(request: pytest.FixtureRequest) -> str:
    """A client request id that no other test uses."""
    return str(request.node.name)


def finish_jobs(azure: Azure) -> None:
    """No job stands in the way of another."""
    azure.cloud.emulator.state.jobs.active = None


@pytest.mark.parametrize("name", ["PUT", "POST", "cancel", "DELETE"])
async def test_a_success_is_given_again(azure: Azure, app: httpx.AsyncClient, own_id: str, name: str) -> None:
    """The same write again is not sent: the app gets status, headers and body of the first answer."""
    if name in {"cancel", "DELETE"}:
        await an_import_of_old(azure, app)
    write = {"PUT": put_import(azure), "POST": DELETE_ALL, "cancel": CANCEL, "DELETE": DELETE}[name]
    first = await write.send(app, own_id)
    again = await write.send(app, own_id)
    assert first.is_success
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
    own = {REPLAYED, "traceresponse"}
    assert [pair for pair in again.headers.multi_items() if pair[0] not in own] == [
        pair for pair in first.headers.multi_items() if pair[0] not in own
    ]
    assert len(write.arrived(azure)) == 1


async def test_links_in_an_answer_given_again_lead_to_who_asks(
    azure: Azure, app: httpx.AsyncClient, own_id: str
) -> None:
    """The recorded answer is the upstream's; its location leads to the gateway as this request named it."""
    port = azure.gateway.address[1]
    await DELETE_ALL_NAMED.send(app, own_id)
    again = await DELETE_ALL_NAMED.send(app, own_id, host=f"localhost:{port}")
    assert again.headers[REPLAYED] == "true"
    path = "jobs/deletions/named?api-version=2023-10-31"
    assert again.headers["operation-location"] == f"http://localhost:{port}/{path}"


async def test_a_repeat_waits_for_the_first(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """Three at the same time: one is sent, and the others get its answer once it is there."""
    azure.wrong(path=DELETE_ALL.path, delay=0.2)
    first = asyncio.create_task(DELETE_ALL.send(app, own_id))
    await arrival(azure, DELETE_ALL)
    repeats = await asyncio.gather(*(DELETE_ALL.send(app, own_id) for _ in range(2)))
    answers = [await first, *repeats]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({(answer.content, answer.headers["operation-location"]) for answer in answers}) == 1
    assert [answer.headers.get(REPLAYED) for answer in answers] == [None, "true", "true"]
    assert len(DELETE_ALL.arrived(azure)) == 1


async def test_a_client_that_left_finds_its_answer(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """The write of a client that hung up runs to its end, and is the answer when it comes again."""
    azure.wrong(path=DELETE_ALL.path, delay=0.2)
    async with azure.app(headers={"x-gateway-key": KEYS["one"]}) as impatient:
        first = asyncio.create_task(DELETE_ALL.send(impatient, own_id))
        await arrival(azure, DELETE_ALL)
        first.cancel()
        await asyncio.wait((first,))
    answer = await DELETE_ALL.send(app, own_id)
    assert (answer.status_code, answer.headers[REPLAYED]) == (202, "true")
    assert len(DELETE_ALL.arrived(azure)) == 1


async def test_one_that_waits_and_leaves_is_in_nobody_s_way(
    azure: Azure, app: httpx.AsyncClient, own_id: str
) -> None:
    """A repeat whose client hangs up while it waits takes nothing with it."""
    azure.wrong(path=DELETE_ALL.path, delay=0.3)
    first = asyncio.create_task(DELETE_ALL.send(app, own_id))
    await arrival(azure, DELETE_ALL)
    async with azure.app(headers={"x-gateway-key": KEYS["one"]}) as impatient:
        with pytest.raises(httpx.ReadTimeout):
            await impatient.post(DELETE_ALL.path, headers={REQUEST_ID: own_id}, timeout=0.05)
    last = await DELETE_ALL.send(app, own_id)
    assert [answer.headers.get(REPLAYED) for answer in (await first, last)] == [None, "true"]
    assert len(DELETE_ALL.arrived(azure)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"operation-id": "second"}},
        {"query": {"timeoutInMinutes": "20"}},
        {"body": {"what": "else"}},
    ],
    ids=["operation-id", "query", "body"],
)
async def test_another_deletion_is_another_write(
    azure: Azure, app: httpx.AsyncClient, own_id: str, change: dict[str, Any]
) -> None:
    """The same id with another operation-id, query or body is sent."""
    assert (await DELETE_ALL.send(app, own_id)).status_code == 202
    finish_jobs(azure)
    other = replace(DELETE_ALL, **change)
    answer = await other.send(app, own_id)
    assert (answer.status_code, REPLAYED in answer.headers) == (202, False)
    assert len(azure.cloud.emulator.state.jobs.deletions) == 2


@pytest.mark.parametrize("change", ["caller", "request id", "job"])
async def test_another_import_is_another_write(
    azure: Azure, app: httpx.AsyncClient, own_id: str, change: str
) -> None:
    """Another caller, another client request id or another job: each is sent, and answered for itself."""
    write = put_import(azure, "first")
    assert (await write.send(app, own_id)).status_code == 201
    finish_jobs(azure)
    if change == "job":
        answer = await put_import(azure, "second").send(app, own_id)
        assert (answer.status_code, answer.json()["id"]) == (201, "second")
    elif change == "caller":
        answer = await write.send(app, own_id, **{"x-gateway-key": KEYS["other"]})
        assert answer.status_code == 400
    else:
        assert (await write.send(app, own_id + "-")).status_code == 400
    assert len([entry for entry in azure.arrived if entry.method == "PUT"]) == 2


async def test_a_write_without_a_request_id_is_sent_each_time(azure: Azure, app: httpx.AsyncClient) -> None:
    """Nothing tells a repeat from a second wish, so it is sent."""
    for expected in (202, 400):
        assert (await DELETE_ALL.send(app, None)).status_code == expected
    assert len(DELETE_ALL.arrived(azure)) == 2


async def test_a_refusal_is_not_recorded(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """JobLimitReached is about that moment: the same write later is sent and succeeds."""
    await put_import(azure).send(app, None)
    refused = await DELETE_ALL.send(app, own_id)
    assert refused.json()["error"]["code"] == "JobLimitReached"
    finish_jobs(azure)
    answer = await DELETE_ALL.send(app, own_id)
    assert (answer.status_code, REPLAYED in answer.headers) == (202, False)


@pytest.mark.parametrize("between", ["DELETE", "cancel", "PUT"])
async def test_another_write_to_the_job_makes_the_record_void(
    azure: Azure, app: httpx.AsyncClient, own_id: str, between: str
) -> None:
    """After any other write to that job its creation, sent again, is a wish of its own."""
    write = put_import(azure)
    assert (await write.send(app, own_id)).status_code == 201
    if between == "PUT":
        assert (await write.send(app, own_id + "-")).status_code == 400
    else:
        other = Write("DELETE", write.path) if between == "DELETE" else Write("POST", write.path + "/cancel")
        assert (await other.send(app, None)).is_success
    finish_jobs(azure)
    answer = await write.send(app, own_id)
    assert (answer.status_code, REPLAYED in answer.headers) == (201 if between == "DELETE" else 400, False)
    assert len(write.arrived(azure)) == (3 if between == "PUT" else 2)


async def test_a_write_to_another_job_leaves_the_record(
    azure: Azure, app: httpx.AsyncClient, own_id: str
) -> None:
    """Only what happens to the same job, kind included, makes its record void."""
    await an_import_of_old(azure, app, "named")
    finish_jobs(azure)
    assert (await DELETE_ALL_NAMED.send(app, own_id)).status_code == 202
    assert (await app.delete("/jobs/imports/named")).status_code == 204
    assert (await DELETE_ALL_NAMED.send(app, own_id)).headers[REPLAYED] == "true"


async def test_a_token_refused_and_renewed_is_one_send(
    azure: Azure, app: httpx.AsyncClient, own_id: str
) -> None:
    """A 401 proves that nothing was done: the write goes once more with a new token, and is recorded."""
    azure.wrong(status=401, path=DELETE_ALL.path)
    for replayed in (None, "true"):
        answer = await DELETE_ALL.send(app, own_id)
        assert (answer.status_code, answer.headers.get(REPLAYED)) == (202, replayed)
    assert [entry.status for entry in DELETE_ALL.arrived(azure)] == [401, 202]
