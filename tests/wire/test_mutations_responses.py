"""Thousands of nearly valid responses: relayed as a third opinion reads them, refused with 502, or cut."""

import secrets
from collections.abc import AsyncIterator
from itertools import islice

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.response_differential import ResponseDifferential
from tests.support.response_mutations import VALID, ResponseMutations
from tests.support.upstream import FaultUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIXED = {
    "pyreqwest": ((11, 3_000), (12, 2_500)),
    "asyncio": ((31, 3_000), (32, 2_500)),
    "httpx": ((21, 700),),
}
"""Seeds and how many responses of each."""
FRESH = {"pyreqwest": 1_500, "asyncio": 1_500, "httpx": 300}
"""Of a row that is new in each run; with the fixed ones 15,000 in all."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway with no breaker: what is sent here would open it."""
    async with running_gateway(
        module_upstream.origin,
        upstream={"engine": engine, "circuit": {"failures": 0}},
        retry={"backoff": 0},
        log={"level": "error"},
    ) as running:
        yield running


async def test_valid_responses_are_relayed(
    gateway: RunningGateway, engine: str, upstream: FaultUpstream
) -> None:
    """What the mutations begin with is relayed whole: they cannot pass because nothing is."""
    differential = ResponseDifferential(gateway, upstream, engine)
    await differential.run(VALID, "valid")
    assert differential.refused == 0
    assert differential.relayed >= len(VALID) - 2


@pytest.mark.slow
async def test_mutated_responses(gateway: RunningGateway, engine: str, upstream: FaultUpstream) -> None:
    """Each is relayed exactly, refused or cut, and not a byte of it is in the next exchange."""
    fresh = secrets.randbits(32)
    for seed, size in (*FIXED[engine], (fresh, FRESH[engine])):
        print(f"seed {seed}, {size} responses, {engine}")  # noqa: T201 - shown where the test fails
        differential = ResponseDifferential(gateway, upstream, engine)
        await differential.run(islice(ResponseMutations(seed), size), f"seed {seed}")
        assert differential.relayed > size // 10
        assert differential.refused > size // 10
