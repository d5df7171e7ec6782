"""Writes once under other settings: switched off, with an id of the gateway's, with the app's own token."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.emulator import RunningEmulator, running_emulator
from tests.support.azure import Azure, auth_for, fast, gateway_to, http_client
from tests.support.gateway import running_gateway
from tests.support.replays import DELETE_ALL, DELETE_ALL_NAMED, LOST, REPLAYED, forget_jobs

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[RunningEmulator]:
    async with running_emulator(fast(job_seconds=60)) as running:
        yield running


async def test_writes_once_can_be_switched_off(cloud: RunningEmulator) -> None:
    """With `jobs.writes_once` off every repeat is sent."""
    async with gateway_to(cloud, jobs={"writes_once": False}) as gateway:
        azure = Azure(gateway, cloud)
        forget_jobs(azure)
        async with azure.app() as app:
            answers = [await DELETE_ALL.send(app, "off") for _ in range(2)]
    assert [(answer.status_code, REPLAYED in answer.headers) for answer in answers] == [
        (202, False),
        (400, False),
    ]
    assert len(DELETE_ALL.arrived(azure)) == 2


@pytest.mark.parametrize("execute", [True, False])
async def test_an_injected_operation_id_proves_what_became_of_a_deletion(
    cloud: RunningEmulator, execute: bool
) -> None:
    """With `jobs.inject_operation_id` a deletion that has none can be looked up, so that it is done once."""
    async with gateway_to(cloud, jobs={"inject_operation_id": True}) as gateway:
        azure = Azure(gateway, cloud)
        forget_jobs(azure)
        azure.wrong(path=DELETE_ALL.path, execute=execute, **LOST["cut"])
        async with azure.app() as app:
            lost, answer = await DELETE_ALL.persist(app, f"inject-{execute}")
    arrived = DELETE_ALL.arrived(azure)
    [job_id] = cloud.emulator.state.jobs.deletions
    assert (lost.status_code, answer.status_code, answer.json()["id"]) == (502, 202, job_id)
    assert len(arrived) == (1 if execute else 2)
    sent = [[value for name, value in entry.headers if name.lower() == "operation-id"] for entry in arrived]
    assert sent == [[job_id]] * len(arrived)


async def a_token(cloud: RunningEmulator) -> str:
    """A token that an app gets for itself."""
    oauth2 = auth_for(cloud.url, cloud.emulator.state.settings)["oauth2"]
    form = {"grant_type": "client_credentials", "scope": "https://digitaltwins.azure.net/.default", **oauth2}
    async with http_client(cloud.url) as client:
        answer = await client.post(form.pop("token_url"), data=form)
    return str(answer.raise_for_status().json()["access_token"])


async def test_an_app_s_own_token_tells_callers_apart_and_reads(cloud: RunningEmulator) -> None:
    """Where tokens pass through, the read of a lost write has the app's; another token is another caller."""
    auth = {"mode": "passthrough"}
    async with running_gateway(cloud.url, auth=auth, jobs={"store": "memory"}) as gateway:
        azure = Azure(gateway, cloud)
        forget_jobs(azure)
        tokens = [f"Bearer {await a_token(cloud)}" for _ in range(2)]
        assert tokens[0] != tokens[1]
        azure.wrong(path=DELETE_ALL.path, execute=True, **LOST["cut"])
        async with azure.app() as app:
            answers = [
                await DELETE_ALL_NAMED.send(app, "passing", authorization=token)
                for token in (tokens[0], tokens[0], tokens[1])
            ]
    assert [(answer.status_code, answer.headers.get(REPLAYED)) for answer in answers] == [
        (502, None),
        (202, "true"),
        (400, None),
    ]
    sent = [[value for name, value in entry.headers if name == "authorization"] for entry in azure.arrived]
    assert sent == [[tokens[0]], [tokens[0]], [tokens[1]]]
