"""Three gateways in front of one instance, and a real store between them: they act as one."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.azure import Azure, fast, gateway_to, running_azure
from tests.support.foreign_jobs import created_elsewhere
from tests.support.redis_server import RedisServer, redis_server
from tests.support.wire import sample, until

UP = "adt_gateway_fleet_store_up"
WATCHING = "adt_gateway_fleet_watching"
FINISHED = 'adt_jobs_finished_total{error_code="",kind="import",status="succeeded"}'
JOBS = [f"job-{number}" for number in range(20)]
CALL = {"x-ms-client-request-id": "11111111-2222-4333-8444-555555555555"}


@asynccontextmanager
async def fleet(store: RedisServer, size: int = 3, **sections: Any) -> AsyncIterator[Sequence[Azure]]:
    """So many gateways, and an emulator whose limit is one request a second, as the service's."""
    settings = {"fleet": {"url": store.url, "expected_size": size}, **sections}
    limit = sections.pop("limit", 1.0)
    settings.pop("limit", None)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_azure(fast(rate_limit=limit), **settings))
        others = [
            await stack.enter_async_context(gateway_to(first.cloud, **settings)) for _ in range(size - 1)
        ]
        yield [first, *(Azure(gateway, first.cloud) for gateway in others)]


async def reaches(azure: Azure, up: bool) -> None:
    """Wait until the gateway says that it reaches the store, or not."""

    async def holds() -> bool:
        return await sample(azure.gateway, UP) == int(up)

    await until(holds)


async def polled(gateways: Sequence[Azure], job_ids: Sequence[str], times: int) -> list[httpx.Response]:
    """An app for each job at each gateway, each of which polls so many times."""

    async def poll(azure: Azure) -> list[httpx.Response]:
        async with azure.app() as app:

            async def follow(job_id: str) -> list[httpx.Response]:
                return [await app.get(f"/jobs/imports/{job_id}") for _ in range(times)]

            return [
                answer for all_of_it in await asyncio.gather(*map(follow, job_ids)) for answer in all_of_it
            ]

    return [answer for mine in await asyncio.gather(*map(poll, gateways)) for answer in mine]


@pytest.mark.slow
async def test_one_limit_for_all(tmp_path: Path) -> None:
    """Sixty apps at three gateways read twenty jobs: a few lists, no 429, and a tenth as many operations."""
    jobs = {"rate": 1, "max_staleness": 1, "watch": "off"}
    with redis_server(tmp_path) as store:
        async with fleet(store, jobs=jobs) as gateways:
            created_elsewhere(gateways[0].cloud, *JOBS)
            answers = await polled(gateways, JOBS, 30)
            arrived = gateways[0].arrived
            operations = [await total(azure, "adt_gateway_fleet_operations_total") for azure in gateways]
    assert {answer.status_code for answer in answers} == {200}
    assert 429 not in [entry.status for entry in arrived]
    times = [entry.time.timestamp() for entry in arrived]
    assert min(after - before for before, after in pairwise(times)) >= 0.85
    assert Counter(entry.route for entry in arrived)["GET /jobs/imports"] >= len(arrived) - 1
    assert sum(operations) < 0.1 * len(answers)


async def total(azure: Azure, name: str) -> float:
    """The sum of a metric over its labels."""
    lines = [line for line in (await azure.metrics()).splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def test_every_end_is_counted_once(tmp_path: Path) -> None:
    """Whichever gateways see a job's end, one counts it; all know of the job, and one follows jobs."""
    jobs = {"rate": 50, "watch": "seen", "max_staleness": 0}
    with redis_server(tmp_path) as store:
        async with fleet(store, limit=None, jobs=jobs) as gateways:
            async with gateways[0].app() as app:
                created = await app.put("/jobs/imports/one", json=gateways[0].import_body())
            assert created.status_code == 201

            async def is_over() -> bool:
                answers = await polled(gateways, ["one"], 1)
                return all(answer.json()["status"] == "succeeded" for answer in answers)

            await until(is_over)

            async def is_counted() -> bool:
                return sum([await sample(azure.gateway, FINISHED) for azure in gateways]) >= 1

            await until(is_counted)
            counted = [await sample(azure.gateway, FINISHED) for azure in gateways]
            watching = [await sample(azure.gateway, WATCHING) for azure in gateways]
            for azure in gateways:
                async with azure.operator() as operator:
                    shown = (await operator.get("/api/jobs/import/one")).json()
                assert (shown["status"], shown["createdHere"]) == ("succeeded", True)
    assert sum(counted) == 1
    assert sum(watching) == 1


async def test_a_write_repeated_elsewhere_is_not_sent_again(tmp_path: Path) -> None:
    """An SDK's retry that reaches another gateway has the answer of the first send."""
    with redis_server(tmp_path) as store:
        async with fleet(store, limit=None, jobs={"rate": 50}) as gateways:
            answers = []
            for azure in gateways:
                async with azure.app() as app:
                    answers.append(await app.post("/jobs/deletions", headers=CALL))
            sent = [entry for entry in gateways[0].arrived if entry.route == "POST /jobs/deletions"]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert [answer.headers.get("x-gateway-replayed") for answer in answers] == [None, "true", "true"]
    assert len({answer.headers["operation-location"].rpartition("/")[2] for answer in answers}) == 1
    assert len(sent) == 1


async def test_without_the_store_it_goes_on_and_says_so(tmp_path: Path) -> None:
    """Killed, nobody notices but the operator: still ready, told in the detail, the metric and the page."""
    with redis_server(tmp_path) as store:
        async with fleet(store, 2, limit=None, jobs={"rate": 100}) as gateways:
            created_elsewhere(gateways[0].cloud, "one")
            store.kill()
            answers = await polled(gateways, ["one"], 3)
            for azure in gateways:
                await reaches(azure, up=False)
            async with gateways[0].operator() as operator:
                ready = await operator.get("/readyz?verbose")
                status = (await operator.get("/api/status")).json()
                page = (await operator.get("/")).text
            store.start()
            for azure in gateways:
                await reaches(azure, up=True)
            answers += await polled(gateways, ["one"], 3)
            async with gateways[0].operator() as operator:
                after = await operator.get("/readyz?verbose")
    assert {answer.status_code for answer in answers} == {200}
    assert ready.status_code == 200
    assert "keeps to 1/2 of the rate" in ready.text
    assert status["fleet"]["problem"]
    assert "each gateway keeps to its share of the rate" in page
    assert "limits are shared through" in after.text


async def test_no_token_and_no_secret_is_in_the_store(tmp_path: Path) -> None:
    """What callers and issuers say stays out of it: tokens, credentials, and ids as names."""
    with redis_server(tmp_path) as store:
        async with fleet(store, 2, limit=None, jobs={"rate": 100, "max_staleness": 60}) as gateways:
            body = gateways[0].import_body(sas="?sig=a-secret")
            async with gateways[0].app() as app:
                await app.put("/jobs/imports/a-callers-id", json=body, headers=CALL)
            async with gateways[1].app() as app:
                await app.post("/jobs/deletions", headers={**CALL, "operation-id": "another"})
            dumped = [json.dumps(_dump(store, name)) for name in store.key_names()]
            names = store.key_names()
    assert not [name for name in names if "a-callers-id" in name]
    assert not [value for value in dumped if "eyJ" in value or "a-secret" in value]


def _dump(store: RedisServer, name: str) -> str:
    kind = store.command("TYPE", name).decode()
    command = {"hash": ("HGETALL",), "string": ("GET",), "zset": ("ZRANGE",)}[kind]
    rest = (0, -1) if kind == "zset" else ()
    return repr(store.command(*command, name, *rest))
