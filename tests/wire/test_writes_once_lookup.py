"""The read that shows what became of a write: late, refused or failing, and paced like every other."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.azure import Azure, fast, http_client, running_azure
from tests.support.replays import (
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

NOT_FOUND = {"import": "ImportJobNotFound", "deletion": "DeleteJobNotFound"}
RATE = 50.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole() -> AsyncIterator[Azure]:
    """A gateway for the module that paces jobs requests, whose upstream has jobs that run for a minute."""
    async with running_azure(fast(job_seconds=60), jobs={"rate": RATE, "burst": 5, "max_wait": 5}) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def azure(whole: Azure) -> Azure:
    forget_jobs(whole)
    return whole


@pytest_asyncio.fixture(loop_scope="module")
async def app(azure: Azure) -> AsyncIterator[httpx.AsyncClient]:
    async with azure.app() as client:
        yield client


@pytest.fixture
def own_id(request: pytest.FixtureRequest) -> str:
    """A client request id that no other test uses."""
    return str(request.node.name)


def named(azure: Azure, kind: str) -> Write:
    """A write whose job can be read by its id."""
    return put_import(azure, "named") if kind == "import" else DELETE_ALL_NAMED


def reads(azure: Azure) -> list[int | None]:
    """The statuses that the gateway's reads got."""
    return [entry.status for entry in azure.arrived if entry.method == "GET"]


async def counted(azure: Azure, name: str) -> dict[str, float]:
    """A counter by the values of its one label."""
    lines = [line for line in (await azure.metrics()).splitlines() if line.startswith(name + "{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.mark.parametrize("kind", NOT_FOUND)
async def test_a_write_that_took_effect_after_the_read(
    azure: Azure, app: httpx.AsyncClient, own_id: str, kind: str
) -> None:
    """The read was too early and the repeat met the job of the first send: that job is the answer."""
    write = named(azure, kind)
    azure.wrong(method=write.method, execute=True, **LOST["cut"])
    code = [("x-ms-error-code", NOT_FOUND[kind])]
    azure.wrong(method="GET", status=404, headers=code)
    lost, answer = await write.persist(app, own_id)
    assert (lost.status_code, answer.status_code) == (502, 201 if kind == "import" else 202)
    assert (answer.json()["id"], answer.headers[REPLAYED]) == ("named", "true")
    assert [entry.status for entry in write.arrived(azure)] == [None, 400]
    assert reads(azure) == [404, 200]
    assert (await write.send(app, own_id)).content == answer.content


async def test_the_limit_met_by_a_repeat_is_told(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """A write that was not done, and meets another job on its repeat, is refused as the upstream refuses."""
    write = named(azure, "import")
    azure.wrong(method="PUT", **LOST["cut"])
    assert (await write.send(app, own_id)).status_code == 502
    await DELETE_ALL.send(app, None)
    refused = await write.send(app, own_id)
    assert refused.json()["error"]["code"] == "JobLimitReached"
    azure.cloud.emulator.state.jobs.active = None
    assert (await write.send(app, own_id)).status_code == 201


@pytest.mark.parametrize("kind", NOT_FOUND)
@pytest.mark.parametrize("trouble", ["500", "404 of the host", "cut", "not a job"])
async def test_a_read_that_proves_nothing(
    azure: Azure, app: httpx.AsyncClient, own_id: str, kind: str, trouble: str
) -> None:
    """The write is not sent while its outcome is unknown; a later read settles it."""
    write = named(azure, kind)
    azure.wrong(method=write.method, execute=True, **LOST["cut"])
    if trouble == "cut":
        azure.wrong(method="GET", cut="before-head", times=2)
    elif trouble == "not a job":
        azure.wrong(method="GET", body='{"id": 7}')
    else:
        azure.wrong(method="GET", status=int(trouble[:3]))
    answers = [await write.send(app, own_id) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 201 if kind == "import" else 202]
    assert "retry-after" not in answers[1].headers
    assert len(write.arrived(azure)) == 1


@pytest.mark.parametrize("kind", NOT_FOUND)
@pytest.mark.parametrize("trouble", ["no turn", "no answer"])
async def test_a_read_that_cannot_be_made(own_id: str, kind: str, trouble: str) -> None:
    """Without a turn or an answer the app gets 502, and not "nothing was sent", which SDKs repeat."""
    jobs = {"rate": 1.0 if trouble == "no turn" else 0}
    quick = {"timeout": {"first_byte": FIRST_BYTE}}
    async with running_azure(fast(job_seconds=60), jobs=jobs, upstream=quick) as azure, azure.app() as app:
        write = named(azure, kind)
        azure.wrong(method=write.method, path="/jobs/", execute=True, **LOST["cut"])
        assert (await write.send(app, own_id)).status_code == 502
        if trouble == "no answer":
            azure.wrong(method="GET", delay=60.0)
        answer = await write.send(app, own_id, **({"prefer": "wait=0"} if trouble == "no turn" else {}))
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (
            502,
            "GatewayUpstreamConnectionLost",
        )
        assert "retry-after" not in answer.headers


async def test_an_import_of_other_blobs_is_not_the_answer(
    azure: Azure, app: httpx.AsyncClient, own_id: str
) -> None:
    """Where another import took the id meanwhile, the app is not told that its own one began."""
    write = named(azure, "import")
    azure.wrong(method="PUT", **LOST["cut"])
    assert (await write.send(app, own_id)).status_code == 502
    async with http_client(azure.cloud.url) as other:
        azure.change(verify_tokens=False)
        body = {**azure.import_body(), "inputBlobUri": "https://example.com/other"}
        assert (await other.put(write.path, json=body)).status_code == 201
        azure.change(verify_tokens=True)
    answer = await write.send(app, own_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationFailed")


async def test_a_read_that_is_throttled_goes_again(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """A 429 on the read pauses the gateway's requests and is no answer: the read goes once more."""
    before = (await counted(azure, "adt_jobs_throttled_total"))["write"]
    azure.wrong(method="POST", execute=True, **LOST["cut"])
    azure.wrong(method="GET", status=429, headers=[("Retry-After", "1")])
    lost, answer = await DELETE_ALL_NAMED.persist(app, own_id, sends=2)
    assert (lost.status_code, answer.status_code, answer.headers.get(REPLAYED)) == (502, 202, "true")
    assert reads(azure) == [429, 200]
    assert (await counted(azure, "adt_jobs_throttled_total"))["write"] == before + 1


async def test_a_write_that_was_not_sent_makes_nothing_void(
    azure: Azure, app: httpx.AsyncClient, own_id: str
) -> None:
    """A write that the gateway refused for want of a turn has not touched the job: records stand."""
    write = put_import(azure)
    assert (await write.send(app, own_id)).status_code == 201
    azure.wrong(method="GET", status=429, headers=[("Retry-After", "1")])
    assert (await app.get("/jobs/imports", headers={"prefer": "wait=0"})).status_code == 429
    refused = await Write("DELETE", write.path).send(app, own_id + "-", prefer="wait=0")
    assert refused.json()["error"]["code"] == "GatewayRateLimited"
    answer = await write.send(app, own_id)
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, "true")
    assert len(write.arrived(azure)) == 1


async def test_a_replay_needs_no_turn(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """An answer that is at hand is given while the upstream takes nothing."""
    await an_import_of_old(azure, app)
    azure.cloud.emulator.state.jobs.active = None
    assert (await DELETE_ALL.send(app, own_id)).status_code == 202
    azure.wrong(method="GET", status=429, headers=[("Retry-After", "1")])
    assert (await app.get("/jobs/imports", headers={"prefer": "wait=0"})).status_code == 429
    answer = await DELETE_ALL.send(app, own_id, prefer="wait=0")
    assert (answer.status_code, answer.headers[REPLAYED]) == (202, "true")


async def test_every_replay_is_counted(azure: Azure, app: httpx.AsyncClient, own_id: str) -> None:
    """Answers given again, made from a read, and not known are told apart in the metrics."""
    before = await counted(azure, "adt_gateway_replayed_writes_total")
    azure.wrong(method="POST", execute=True, **LOST["cut"])
    azure.wrong(method="GET", status=500)
    answers = [await DELETE_ALL.send(app, own_id) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [502, 502, 202, 202]
    after = await counted(azure, "adt_gateway_replayed_writes_total")
    assert {name: after[name] - before[name] for name in after} == {"recorded": 1, "read": 1, "unknown": 1}
