"""Thousands of requests that are nearly valid: the gateway reads each as a third opinion does, or refuses it.

What was found is kept in the corpus (`tests/corpus/requests/kept.txt`). A run is repeated with the seed that
its failure names: `MUTATION_SEED=7 pytest tests/wire/test_mutations_requests.py`.
"""

import os
import random
from collections.abc import AsyncIterator
from itertools import islice

import pytest
import pytest_asyncio

from tests.support.differential import Differential, Disagreement
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.reference_reader import Ending, read_all
from tests.support.request_mutations import VALID, Mutations
from tests.support.upstream import Call, FaultUpstream
from tests.wire.conftest import TOKEN

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

EACH = int(os.environ.get("MUTATIONS", "3000"))
"""Mutations of one seed; there are four."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """Answers are not shared: each request counts."""
    async with running_gateway(
        module_upstream.origin,
        upstream={"engine": engine},
        auth={"mode": "static", "static": {"token": TOKEN}},
        jobs={"coalesce": False, "batch": False},
        log={"level": "warning"},
    ) as running:
        yield running


def _seeds(engine: str) -> list[int]:
    """Two for each engine, of which one is fresh: hardly anything below the reader depends on the engine."""
    given = os.environ.get("MUTATION_SEED")
    if given is not None:
        return [int(given)]
    return [
        {"pyreqwest": 1, "httpx": 2, "asyncio": 3}[engine],
        random.SystemRandom().randrange(1_000_000_000),
    ]


@pytest.mark.parametrize("nth", [0, 1], ids=["fixed seed", "fresh seed"])
async def test_mutated_requests_are_read_as_one_reading_or_refused(
    engine: str, gateway: RunningGateway, upstream: FaultUpstream, nth: int
) -> None:
    """Each ends in a 4xx and the end of its connection, or in the very requests that its bytes are."""
    seeds = _seeds(engine)
    seed = seeds[nth % len(seeds)]
    print(f"MUTATION_SEED={seed}")  # noqa: T201 - shown where the test fails
    found = Differential(gateway, upstream, TOKEN)
    await found.run(islice(Mutations(seed), EACH), f"MUTATION_SEED={seed}")
    # Neither end is empty, or the mutations would say nothing.
    assert found.forwarded > EACH / 10
    assert found.refused > EACH / 10


async def test_what_is_not_mutated_passes(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """The valid requests that mutations start from arrive, every one of them."""
    found = Differential(gateway, upstream, TOKEN)
    await found.run(VALID, "valid")
    readings = [read_all(data) for data in VALID]
    assert {ending for _, ending in readings} == {Ending.DONE}
    assert (found.forwarded, found.refused) == (sum(len(requests) for requests, _ in readings), 0)


async def test_a_disagreement_is_told(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """An upstream that sees anything else than the bytes say fails the comparison, with bytes to keep."""
    found = Differential(gateway, upstream, TOKEN)
    honest = upstream.default

    async def altered(call: Call) -> None:
        call.request.headers.append((b"X-Smuggled", b"1"))
        await honest(call)

    upstream.default = altered
    with pytest.raises(ExceptionGroup) as failure:
        await found.run(VALID[:1], "seed 0")
    [error] = failure.value.exceptions
    assert isinstance(error, Disagreement)
    assert "| GET /models?api-version=2023-10-31 HTTP/1.1\n| Host: localhost" in str(error)
