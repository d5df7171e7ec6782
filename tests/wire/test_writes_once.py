"""A job write whose answer is lost is carried out at most once, however often its client sends it again."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from tests.support.azure import Azure, fast, running_azure
from tests.support.replays import (
    CANCEL,
    DELETE,
    DELETE_ALL,
    DELETE_ALL_NAMED,
    FIRST_BYTE,
    LOST,
    REPLAYED,
    Write,
    an_import_of_old,
    forget_jobs,
    put_import,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "11111111-2222-4333-8444-555555555555"
SUCCESS = {"PUT": 201, "DELETE": 204}
READABLE = ["POST deletion with an id", "PUT", "cancel", "DELETE"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole() -> AsyncIterator[Azure]:
    """A gateway for the module, whose upstream has jobs that run for a minute."""
    timeout = {"timeout": {"first_byte": FIRST_BYTE}}
    async with running_azure(fast(job_seconds=60), upstream=timeout) as running:
        yield running


@dataclass(frozen=True)
class Ids:
    """Client request ids that no other test uses."""

    test: str

    def __call__(self, number: int = 0) -> str:
        return f"{self.test}-{number}"[-200:]


@pytest.fixture
def ids(request: pytest.FixtureRequest) -> Ids:
    return Ids(request.node.name)


@pytest_asyncio.fixture(loop_scope="module")
async def azure(whole: Azure) -> Azure:
    forget_jobs(whole)
    return whole


@pytest_asyncio.fixture(loop_scope="module")
async def app(azure: Azure) -> AsyncIterator[httpx.AsyncClient]:
    async with azure.app() as client:
        yield client


async def prepared(azure: Azure, app: httpx.AsyncClient, name: str) -> Write:
    """One of the writes, and what has to be there for it."""
    if name in {"cancel", "DELETE"}:
        await an_import_of_old(azure, app)
        return CANCEL if name == "cancel" else DELETE
    if name == "PUT":
        return put_import(azure, "j%201%2F%C3%A9")
    return DELETE_ALL_NAMED if name == READABLE[0] else DELETE_ALL


def lose(azure: Azure, write: Write, how: str, *, execute: bool) -> None:
    """Let the answer to the next such write get lost."""
    azure.wrong(method=write.method, path=write.path, execute=execute, **LOST[how])


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("name", READABLE)
async def test_a_write_that_was_done_is_not_sent_again(
    azure: Azure, app: httpx.AsyncClient, ids: Ids, name: str, how: str
) -> None:
    """A client that repeats on any 5xx gets the answer that was lost, made from a read, and sent it once."""
    write = await prepared(azure, app, name)
    lose(azure, write, how, execute=True)
    lost, answer = await write.persist(app, ids())
    assert lost.status_code >= 500
    assert answer.status_code == SUCCESS.get(write.method, 200 if name == "cancel" else 202)
    assert answer.headers[REPLAYED] == "true"
    assert len(write.arrived(azure)) == 1
    again = await write.send(app, ids())
    assert (again.status_code, again.content) == (answer.status_code, answer.content)
    assert len(write.arrived(azure)) == 1


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("name", READABLE)
async def test_a_write_that_was_not_done_goes_once_more(
    azure: Azure, app: httpx.AsyncClient, ids: Ids, name: str, how: str
) -> None:
    """Where a read proves that nothing happened, the repeat is sent, and its answer is the app's."""
    write = await prepared(azure, app, name)
    lose(azure, write, how, execute=False)
    lost, answer = await write.persist(app, ids())
    assert lost.status_code >= 500
    assert answer.status_code == SUCCESS.get(write.method, 200 if name == "cancel" else 202)
    assert REPLAYED not in answer.headers
    assert len(write.arrived(azure)) == 2


@pytest.mark.parametrize("name", READABLE[:3])
async def test_an_answer_that_breaks_off_is_an_answer_lost(
    azure: Azure, app: httpx.AsyncClient, ids: Ids, name: str
) -> None:
    """A success whose body does not come whole is no success yet; the repeat gets all of it."""
    write = await prepared(azure, app, name)
    azure.wrong(method=write.method, path=write.path, cut=5)
    lost, answer = await write.persist(app, ids())
    assert (lost.status_code, lost.headers["x-ms-error-code"]) == (502, "GatewayUpstreamConnectionLost")
    assert (answer.is_success, answer.headers[REPLAYED], bool(answer.json()["id"])) == (True, "true", True)
    assert len(write.arrived(azure)) == 1


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_repeats_at_the_same_time(
    azure: Azure, app: httpx.AsyncClient, ids: Ids, execute: bool
) -> None:
    """Five repeats of one lost write at once: one reads, and all get the one answer."""
    lose(azure, DELETE_ALL_NAMED, "cut", execute=execute)
    assert (await DELETE_ALL_NAMED.send(app, ids())).status_code == 502
    answers = await asyncio.gather(*(DELETE_ALL_NAMED.send(app, ids()) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    methods = [entry.method for entry in azure.arrived]
    assert methods == ["POST", "GET"] if execute else ["POST", "GET", "POST"]


@pytest.mark.parametrize("how", LOST)
async def test_a_deletion_without_an_id_is_found_in_the_list(
    azure: Azure, app: httpx.AsyncClient, ids: Ids, how: str
) -> None:
    """The one deletion created since is the answer, and its location leads through the gateway to it."""
    lose(azure, DELETE_ALL, how, execute=True)
    _, answer = await DELETE_ALL.persist(app, ids())
    [deletion] = azure.cloud.emulator.state.jobs.deletions
    assert (answer.status_code, answer.json()["id"]) == (202, deletion)
    location = answer.headers["operation-location"]
    assert location == f"{azure.gateway.data}/jobs/deletions/{deletion}?api-version=2023-10-31"
    assert (await app.get(location)).json()["id"] == deletion
    assert len(DELETE_ALL.arrived(azure)) == 1


@pytest.mark.parametrize("how", LOST)
async def test_a_deletion_that_cannot_be_looked_up_stays_unknown(
    azure: Azure, app: httpx.AsyncClient, ids: Ids, how: str
) -> None:
    """Without an id and without a deletion in the list it may still be to come: 502, never a second send."""
    lose(azure, DELETE_ALL, how, execute=False)
    lost, *repeats = await DELETE_ALL.persist(app, ids())
    assert lost.status_code >= 500
    told = [(answer.status_code, answer.headers["x-ms-error-code"]) for answer in repeats]
    assert told == [(502, "GatewayUpstreamConnectionLost")] * 3
    assert not any("retry-after" in answer.headers for answer in repeats)
    assert len(DELETE_ALL.arrived(azure)) == 1
    assert (await DELETE_ALL.send(app, ids(1))).status_code == 202
