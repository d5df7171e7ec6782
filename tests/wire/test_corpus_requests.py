"""Every request of the corpus over a real socket: refused and closed, or one clean request upstream."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.corpus import Entry, load
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.request_outcomes import holds, outcomes
from tests.support.upstream import FaultUpstream
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENTRIES = load("requests")
PASSED = [entry for entry in ENTRIES if any(outcome.kind == "forwarded" for outcome in outcomes(entry))]
STOPPED = [entry for entry in ENTRIES if entry not in PASSED]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """One gateway for what reaches no engine."""
    auth = {"mode": "static", "static": {"token": TOKEN}}
    async with running_gateway(module_upstream.origin, auth=auth) as running:
        yield running


@pytest.mark.parametrize("entry", STOPPED, ids=lambda entry: entry.id)
async def test_what_is_not_one_clear_request_goes_nowhere(
    front: RunningGateway, upstream: FaultUpstream, entry: Entry
) -> None:
    """What could be read in two ways gets a 4xx in our shape and the end of its connection."""
    await holds(entry, front, upstream, TOKEN)


@pytest.mark.parametrize("entry", PASSED, ids=lambda entry: entry.id)
async def test_what_passes_is_clean(gateway: RunningGateway, upstream: FaultUpstream, entry: Entry) -> None:
    """What has one reading arrives as that request, in our framing and with our token, on any engine."""
    await holds(entry, gateway, upstream, TOKEN)
