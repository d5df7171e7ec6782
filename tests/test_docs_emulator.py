"""docs/emulator.md against the emulator: routes, settings, faults and code are as it says."""

import asyncio
import json
import re
from typing import Any

import httpx
import msgspec
import pytest

from gateway.emulator import EmulatorSettings, RunningEmulator, running_emulator, sample
from gateway.emulator.app import ROUTER
from gateway.emulator.faults import Fault
from gateway.emulator.routing import Guard
from gateway.emulator.settings import CHANGEABLE
from gateway.emulator.strange import NAMED
from tests.support import docs
from tests.support.azure import http_client

TEXT = docs.EMULATOR.read_text()
ASKS_FOR = {Guard.OPEN: "open", Guard.DATA: "token", Guard.JOBS: "jobs"}
EXAMPLES = [row.names(0)[0] for row in docs.rows(TEXT, "fault")]


def test_the_table_of_routes_is_the_router() -> None:
    """Every operation is there, with what it asks for."""
    told = {row.names(0)[0]: row.cells[1] for row in docs.rows(TEXT, "method and path")}
    known = {f"{route.method} {route.template}": ASKS_FOR[route.guard] for route, _ in ROUTER._routes}
    assert told == known


def test_the_table_of_settings_is_what_can_be_changed() -> None:
    """Every setting that can be changed is there with its default."""
    told = {row.names(0)[0]: json.loads(row.names(1)[0]) for row in docs.rows(TEXT, "setting")}
    shown = EmulatorSettings().shown()
    assert told == {name: shown[name] for name in CHANGEABLE}


def test_the_table_of_kinds_is_the_strange_answers() -> None:
    """Every named answer is there with its status."""
    told = {row.names(0)[0]: int(row.cells[1][:3]) for row in docs.rows(TEXT, "named answer")}
    assert told == {name: make().status for name, make in NAMED}


def test_every_field_of_a_fault_is_in_the_table() -> None:
    """The table has the fields of a fault, and no other."""
    told = {name for row in docs.rows(TEXT, "field") for name in row.names(0)}
    assert told == {item.name for item in msgspec.structs.fields(Fault)}


@pytest.mark.parametrize("example", EXAMPLES)
async def test_example_faults_are_taken(example: str) -> None:
    """Each example can be set as it stands."""
    async with running_emulator() as azure, http_client(azure.url) as client:
        answer = await client.post("/_emulator/faults", content=example)
        assert answer.status_code == 201, answer.text


async def _spoilt(azure: RunningEmulator, example: str, method: str, path: str) -> httpx.Response | None:
    """The answer to a request under a fault; None where the connection broke."""
    async with http_client(azure.url) as client:
        await client.post("/_emulator/reset")
        await client.post("/_emulator/settings", json={"verify_tokens": False, "rate_limit": None})
        await client.post("/_emulator/faults", content=example)
        try:
            return await client.request(method, path)
        except httpx.TransportError:
            return None


async def test_example_faults_do_what_is_said() -> None:
    """Pages, statuses, cut connections and lost answers come as the table says."""
    first, limited, busy, lost, _, _, reset, *_ = EXAMPLES
    async with running_emulator() as azure:
        page = await _spoilt(azure, first, "GET", "/models")
        assert page is not None
        assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
        many = await _spoilt(azure, limited, "GET", "/jobs/imports")
        assert many is not None
        assert many.status_code == 429
        unavailable = await _spoilt(azure, busy, "GET", "/models")
        assert unavailable is not None
        assert (unavailable.status_code, unavailable.headers["retry-after"]) == (503, "2")
        assert await _spoilt(azure, reset, "POST", "/jobs/imports/x/cancel") is None
        assert await _spoilt(azure, lost, "POST", "/jobs/deletions") is None
        assert len(azure.emulator.state.jobs.deletions) == 1


def _run(snippet: str, url: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(re.sub(r"http://127\.0\.0\.1:8090", url, snippet), names)  # noqa: S102 - the text's own code
    return names


async def test_the_code_in_the_text_runs() -> None:
    """The three pieces of Python run as they stand, but for the address."""
    with_sdk, with_asyncio, with_samples = docs.blocks(TEXT, "python")
    async with running_emulator(EmulatorSettings(verify_tokens=False)) as azure:
        await asyncio.to_thread(_run, with_sdk, azure.url)
    address = await _run(with_asyncio, "")["shows_its_address"]()
    assert address.startswith("http://127.0.0.1:")
    names = _run(with_samples, "")
    assert (names["good"], names["broken"]) == (sample("campus.ndjson"), sample("broken-model.ndjson"))
