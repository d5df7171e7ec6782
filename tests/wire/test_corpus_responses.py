"""Every hand-made response, on each engine: relayed exactly, refused with 502, or cut."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.corpus import Entry, load, plain
from tests.support.engines import ENGINES
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawResponse
from tests.support.responses import Followed, asked, followed
from tests.support.upstream import Behaviour, FaultUpstream
from tests.support.wire import error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUTCOMES = ("relayed", "refused", "cut")
ENDS: dict[str, Callable[[bytes], Behaviour]] = {
    "open": faults.raw,
    "close": faults.cut,
    "reset": partial(faults.cut, reset=True),
}
ENTRIES = load("responses")
_serial = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway that owns a token, with no breaker: what is sent here would open it."""
    async with running_gateway(
        module_upstream.origin,
        upstream={"engine": engine, "circuit": {"failures": 0}},
        retry={"backoff": 0},
        auth={"mode": "static", "static": {"token": "the-gateways-own"}},
    ) as running:
        yield running


def _behaviour(entry: Entry) -> Behaviour:
    return ENDS[entry.value("then") or "open"](entry.data)


def _expected(entry: Entry, engine: str) -> tuple[str, str]:
    """The outcome and what it says; one for the engine goes before one for all."""
    for key in (f"{engine} ", ""):
        for outcome in OUTCOMES:
            if (value := entry.value(key + outcome)) is not None:
                return outcome, value
    raise AssertionError(f"{entry.place}: no outcome")


def _named(text: str) -> tuple[bytes, bytes]:
    name, _, value = text.partition(":")
    return name.strip().encode(), plain(value.strip())


def _judge(entry: Entry, outcome: str, told: str, response: RawResponse) -> None:
    status, _, code = told.partition(" ")
    if outcome == "refused":
        assert (response.status, response.value(b"x-ms-error-code")) == (int(status), code.encode())
        assert (entry.value("asked") or "").startswith("HEAD") or error_of(response)["code"] == code
        assert response.value(b"retry-after") is None
        return
    body = entry.value("body")
    if outcome == "cut":
        if entry.value("then") == "reset" and response.status == 502:
            # A reset may overtake what was sent before it.
            assert error_of(response)["code"] == "GatewayUpstreamConnectionLost"
            return
        assert not response.complete
        # Cut right behind the head, the app may have got an answer of the gateway's, or nothing.
        assert response.status in {int(status), 0}
        assert plain(body or "").startswith(response.body)
        return
    assert (response.status, response.complete) == (int(status), True)
    if body is not None:
        assert response.body == plain(body)
    if (expected := entry.value("code")) is not None:
        assert json.loads(response.body)["error"]["code"] == expected
        assert response.values(b"x-ms-error-code") == [expected.encode()]
    _judge_headers(entry, response)


def _judge_headers(entry: Entry, response: RawResponse) -> None:
    wanted = [_named(text) for key, text in entry.fields if key == "with"]
    for name, _ in wanted:
        assert response.values(name) == [value for key, value in wanted if key == name]
    for key, text in entry.fields:
        if key == "without":
            assert response.values(text.encode()) == []


def _judge_connection(entry: Entry, engine: str, outcome: str, seen: Followed) -> None:
    assert seen.own_answer
    said = entry.value(f"{engine} connection") or entry.value("connection")
    kept = said or (None if outcome == "relayed" else "closed")
    if kept is not None:
        assert seen.same_connection == (kept == "kept" and engine != "httpx")


async def test_the_corpus_is_large_and_says_why() -> None:
    """At least two hundred responses, each with the rule that decides it and one outcome per engine."""
    assert len(ENTRIES) >= 200
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.value("rule"), entry.place
        for engine in ENGINES:
            _expected(entry, engine)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
async def test_response(gateway: RunningGateway, engine: str, upstream: FaultUpstream, entry: Entry) -> None:
    """The app gets what the entry says, and the next exchange its own answer, on a clean connection."""
    outcome, told = _expected(entry, engine)
    method, _, path = (entry.value("asked") or "GET").partition(" ")
    request = asked(method, path or "/digitaltwins/t1")
    response, seen = await followed(gateway, upstream, request, _behaviour(entry), next(_serial))
    _judge(entry, outcome, told, response)
    _judge_connection(entry, engine, outcome, seen)
