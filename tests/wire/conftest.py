"""A gateway for a whole test module, on each engine in turn, in front of one recording upstream.

Modules that use it run in one event loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`. Tests that
need settings of their own start a gateway of their own.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.engines import ENGINES
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.upstream import FaultUpstream, fault_upstream

TOKEN = "the-gateways-own-token"


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_upstream() -> AsyncIterator[FaultUpstream]:
    """One upstream for the module; tests take `upstream`."""
    async with fault_upstream() as running:
        yield running


@pytest.fixture
def upstream(module_upstream: FaultUpstream) -> Iterator[FaultUpstream]:
    """The module's upstream without what earlier tests left; it lets go of answers that nobody waits for."""
    module_upstream.reset()
    yield module_upstream
    module_upstream.let_go()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway with a token of its own, on each engine in turn."""
    async with running_gateway(
        module_upstream.origin,
        upstream={"engine": engine},
        auth={"mode": "static", "static": {"token": TOKEN}},
        log={"level": "debug"},
    ) as running:
        yield running
