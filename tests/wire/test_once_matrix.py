"""Every way in which an upstream dies, with every method: how often it got the request, what the app is told.

`test_attempts.py` has the faults of an upstream that took the request. Here are those from before that: no
connection, one that breaks while the request is sent, one that was kept and is dead, a restart; and those
that come with a second try.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.addresses import deaf_origin, refusing_origin
from tests.support.gateway import API, RunningGateway, running_gateway
from tests.support.issuer import Issuer
from tests.support.raw import RawResponse
from tests.support.upstream import Call, FaultUpstream, fault_upstream
from tests.support.wire import DELETIONS, IMPORT, TWIN, ask, error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGETS = {
    "GET": TWIN,
    "HEAD": TWIN,
    "PUT": IMPORT,
    "POST": DELETIONS,
    "PATCH": TWIN,
    "DELETE": f"/jobs/imports/job-1?{API}",
}
READS = {"GET", "HEAD"}
TRIES = 3
"""Sends of a read at most."""
BODY = b'{"inputBlobUri": "a", "outputBlobUri": "b"}'
SHORT = {"connect": 0.2, "first_byte": 0.3, "read_idle": 0.3}
NO_CONNECTION: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "refused": refusing_origin,
    "never accepted": deaf_origin,
}


async def sent(gateway: RunningGateway, method: str) -> RawResponse:
    """The answer to a request of that method, with a body where the method has one."""
    return await ask(
        gateway, TARGETS[method], method, body=BODY if method in {"PUT", "POST", "PATCH"} else None
    )


def check_answer(answer: RawResponse, method: str, status: int) -> None:
    """That status, in our shape; no `Retry-After` where the request may have run."""
    assert answer.status == status
    if method != "HEAD":
        error_of(answer)
    assert (answer.value(b"retry-after") is not None) == (status == 503)


@pytest.mark.parametrize("where", NO_CONNECTION)
async def test_without_a_connection_nothing_is_sent(engine: str, where: str) -> None:
    """Refused, or not accepted in time: 503 with Retry-After, which tells SDKs that they may send again."""
    with NO_CONNECTION[where]() as origin:
        settings = {"engine": engine, "timeout": SHORT}
        async with running_gateway(origin, upstream=settings) as gateway:
            for method in TARGETS:
                check_answer(await sent(gateway, method), method, 503)


@pytest.mark.parametrize("size", [0, 1, 40, 120])
@pytest.mark.parametrize("method", TARGETS)
async def test_connection_that_breaks_while_the_request_is_sent(
    gateway: RunningGateway, upstream: FaultUpstream, engine: str, method: str, size: int
) -> None:
    """Reset at its acceptance, or inside the request: only reads are sent again."""
    if engine == "pyreqwest":
        await unkept(gateway, upstream)
    upstream.patience = size
    answer = await sent(gateway, method)
    assert not upstream.requests
    arrived = [data for data in upstream.cut_short if data]
    assert len(arrived) <= (TRIES if method in READS and engine == "pyreqwest" else 1)
    # Where not a byte arrived, the engine may have seen that in time.
    check_answer(answer, method, 503 if answer.status == 503 and not arrived else 502)


async def unkept(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Let the gateway keep no connection to the upstream."""
    upstream.default = faults.reply(200, b"last", [(b"Connection", b"close")])
    for _ in range(upstream.open + 1):
        assert (await ask(gateway)).status == 200
    await upstream.idle()
    upstream.reset()


@pytest.mark.parametrize("method", TARGETS)
async def test_connection_that_died_while_it_was_kept(
    gateway: RunningGateway, upstream: FaultUpstream, engine: str, method: str
) -> None:
    """The second request on a connection breaks it: a read goes again, a write is told as lost."""
    path = TARGETS[method].partition("?")[0]
    if engine == "pyreqwest":
        await unkept(gateway, upstream)

    async def breaks_used(call: Call) -> None:
        if call.nth > 1:
            call.reset()
            return
        await faults.reply(200, b"fine")(call)

    upstream.default = breaks_used
    assert (await ask(gateway, "/warm")).status == 200
    answer = await sent(gateway, method)
    times = [seen.path for seen in upstream.requests].count(path.encode())
    if method in READS:
        assert (answer.status, times <= TRIES) == (200, True)
    else:
        assert times == 1
        assert answer.status in {200, 502}
        if answer.status == 502:
            check_answer(answer, method, 502)


@pytest.mark.parametrize("method", TARGETS)
async def test_answer_that_is_slow(
    engine: str, upstream: FaultUpstream, hasty: RunningGateway, method: str
) -> None:
    """No answer in time: sent once, reads too; 504 where a repeat does no harm, else 502."""
    upstream.default = faults.never()
    check_answer(await sent(hasty, method), method, 502 if method in {"POST", "PATCH"} else 504)
    assert len(upstream.requests) == 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway that does not wait long."""
    settings = {"engine": engine, "timeout": SHORT}
    async with running_gateway(module_upstream.origin, upstream=settings) as running:
        yield running


SECOND = {
    "cut": (faults.cut(), 502),
    "reset": (faults.cut(reset=True), 502),
    "half a status line": (faults.cut(b"HTTP/1.1 2"), 502),
    "no http": (faults.cut(b"garbage\r\n\r\n"), 502),
    "refused again": (faults.reply(401), 401),
    "busy": (faults.reply(503), 503),
}


@pytest.mark.parametrize("then", SECOND)
@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
async def test_401_and_then_trouble(engine: str, upstream: FaultUpstream, method: str, then: str) -> None:
    """A 401 proves that nothing was done, so the write goes once more; whatever comes of it, not again."""
    behaviour, status = SECOND[then]
    upstream.on(TARGETS[method].partition("?")[0], faults.reply(401), behaviour)
    async with Issuer() as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": issuer.secret}
        async with running_gateway(
            upstream.origin, upstream={"engine": engine}, auth={"mode": "oauth2", "oauth2": oauth2}
        ) as gateway:
            answer = await sent(gateway, method)
    assert answer.status == status
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
async def test_upstream_that_restarts(engine: str, method: str) -> None:
    """It goes away with the request in its hands and comes back: one send, a 502, and then all is well."""
    async with fault_upstream() as upstream:
        upstream.on(TARGETS[method].partition("?")[0], faults.never(), faults.reply(200, b"{}"))
        async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
            asking = asyncio.create_task(sent(gateway, method))
            await upstream.received(1)
            await upstream.restart()
            check_answer(await asking, method, 502)
            assert len(upstream.requests) == 1
            assert (await sent(gateway, method)).status == 200
        assert len(upstream.requests) == 2
