"""The Azure SDK whose `POST /jobs/deletions` gets no proper answer: it repeats by rules of its own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import PipelineResponse
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core.aio import DigitalTwinsClient as AioClient

from tests.support.azure import Azure, fast, running_azure
from tests.support.replays import DELETE_ALL, FIRST_BYTE, LOST, REQUEST_ID, forget_jobs
from tests.support.sdk import check_only_the_gateway_arrived, sdk_options

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPEATED = {"500", "503", "503 with Retry-After"}
"""What the SDK sends a POST again for; after what the gateway answers with 502 it does not."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole() -> AsyncIterator[Azure]:
    timeout = {"timeout": {"first_byte": FIRST_BYTE}}
    async with running_azure(fast(), upstream=timeout) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def azure(whole: Azure) -> Azure:
    forget_jobs(whole)
    return whole


async def deleted(azure: Azure, client: str, **options: Any) -> Any:
    """The deletion that an app gets by polling to its end. Raises HttpResponseError."""
    options = sdk_options(retry_backoff_factor=0.01, **options)
    if client == "sync":
        return await asyncio.to_thread(_deleted_by_sync, azure.gateway.data, options)
    async with AioClient(azure.gateway.data, **options) as aio:
        return await (await aio._client.delete_jobs.begin_add()).result()


def _deleted_by_sync(endpoint: str, options: dict[str, Any]) -> Any:
    with DigitalTwinsClient(endpoint, **options, raw_response_hook=_read_errors)._client as operations:
        return operations.delete_jobs.begin_add().result()


def _read_errors(response: PipelineResponse[Any, Any]) -> None:
    """Let go of the socket of an answer that the SDK's retries drop unread."""
    if response.http_response.status_code >= 400:
        response.http_response.read()


def sent_ids(azure: Azure) -> list[str]:
    """The client request id of every deletion that reached the upstream."""
    arrived = DELETE_ALL.arrived(azure)
    return [value for entry in arrived for name, value in entry.headers if name.lower() == REQUEST_ID]


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("client", ["aio", "sync"])
async def test_a_deletion_that_was_done_is_done_once(azure: Azure, client: str, how: str) -> None:
    """An SDK that repeats gets a poller that ends, another an honest 502; upstream it is one send."""
    azure.wrong(path=DELETE_ALL.path, execute=True, **LOST[how])
    if how in REPEATED:
        assert (await deleted(azure, client)).status == "succeeded"
    else:
        await _unknown(azure, client)
    assert len(azure.cloud.emulator.state.jobs.deletions) == 1
    assert len(sent_ids(azure)) == len(DELETE_ALL.arrived(azure)) == 1
    check_only_the_gateway_arrived(azure)


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("client", ["aio", "sync"])
async def test_a_deletion_of_unknown_fate_is_not_sent_again(azure: Azure, client: str, how: str) -> None:
    """Not done, and nothing to look it up by: the app is told that nobody knows; there is no second send."""
    azure.wrong(path=DELETE_ALL.path, **LOST[how])
    await _unknown(azure, client)
    assert azure.cloud.emulator.state.jobs.deletions == {}
    assert len(sent_ids(azure)) == 1


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("client", ["aio", "sync"])
async def test_a_deletion_with_an_id_of_its_own(azure: Azure, client: str, how: str, execute: bool) -> None:
    """By its operation-id the gateway knows whether to send it again: it is carried out once, or never."""
    azure.wrong(path=DELETE_ALL.path, execute=execute, **LOST[how])
    if how in REPEATED:
        done = await deleted(azure, client, operation_id="mine")
        assert (done.id, done.status) == ("mine", "succeeded")
    else:
        await _unknown(azure, client, operation_id="mine")
    ids = sent_ids(azure)
    assert len(azure.cloud.emulator.state.jobs.deletions) == int(execute or how in REPEATED)
    assert len(set(ids)) == 1
    assert len(ids) == (2 if how in REPEATED and not execute else 1)


@pytest.mark.parametrize("client", ["aio", "sync"])
async def test_trouble_in_a_row(azure: Azure, client: str) -> None:
    """A 500 that did nothing, and on the repeat a 503 that did: the third request finds the deletion."""
    azure.wrong(path=DELETE_ALL.path, method="POST", status=500)
    azure.wrong(path=DELETE_ALL.path, method="POST", status=503, execute=True)
    done = await deleted(azure, client, operation_id="mine")
    assert (done.id, done.status) == ("mine", "succeeded")
    assert [entry.status for entry in DELETE_ALL.arrived(azure)] == [500, 503]
    assert len(set(sent_ids(azure))) == len(azure.cloud.emulator.state.jobs.deletions) == 1


async def _unknown(azure: Azure, client: str, **options: Any) -> None:
    with pytest.raises(HttpResponseError) as raised:
        await deleted(azure, client, **options)
    assert raised.value.status_code == 502
    assert raised.value.error is not None
    assert raised.value.error.code in {"GatewayUpstreamConnectionLost", "GatewayUpstreamTimeout"}
