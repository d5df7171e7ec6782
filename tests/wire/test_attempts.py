"""A request is delivered at most once, unless the upstream refused it, or it is a read that got no answer."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.upstream import Behaviour, Call, FaultUpstream, fault_upstream
from tests.support.wire import DELETIONS, IMPORT, ask, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITES = {"PUT": IMPORT, "POST": DELETIONS, "PATCH": "/digitaltwins/t1", "DELETE": "/jobs/imports/job-1"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
BEFORE_THE_HEAD = {
    "cut at once",
    "reset at once",
    "cut after the request",
    "reset after the request",
    "cut in the status line",
    "cut in the head",
}
SENT_AGAIN = {
    "pyreqwest": BEFORE_THE_HEAD,
    "asyncio": BEFORE_THE_HEAD - {"cut in the status line", "cut in the head"},
    "httpx": frozenset[str](),
}
"""After which a read goes once more: hyper does not tell whether any of the head came."""


async def _goes_unread(call: Call) -> None:
    call.close()


FAULTS: dict[str, Behaviour] = {
    "cut at once": _goes_unread,
    "reset at once": faults.cut_unread(),
    "cut after the request": faults.cut(),
    "reset after the request": faults.cut(reset=True),
    "cut in the status line": faults.cut(b"HTTP/1.1 2"),
    "cut in the head": faults.cut(b"HTTP/1.1 200 OK\r\nContent-"),
    "cut behind the head": faults.cut(HEAD),
    "cut in the body": faults.cut(HEAD + b"hello"),
    "reset in the body": faults.cut(HEAD + b"hello", reset=True),
    "no http": faults.cut(b"garbage\r\n\r\n"),
    "ambiguous": faults.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "silence": faults.never(),
    "silence in the head": faults.never(b"HTTP/1.1 200 OK\r\n"),
    "silence in the body": faults.never(HEAD + b"hello"),
    "refused 429": faults.reply(429, b"", [(b"retry-after", b"1")]),
    "broken 500": faults.reply(500),
    "busy 503": faults.reply(503, b"", [(b"retry-after", b"1")]),
    "timeout 408": faults.reply(408, b"", [(b"connection", b"close")]),
    "moved 307": faults.reply(307, b"", [(b"location", b"/elsewhere")]),
    "asked 425": faults.reply(425),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway that does not wait long, for the faults that are silences."""
    settings = {"engine": engine, "timeout": {"first_byte": 0.2, "read_idle": 0.2}}
    async with running_gateway(module_upstream.origin, upstream=settings) as running:
        yield running


@pytest.fixture
def patience(gateway: RunningGateway, hasty: RunningGateway, fault: str) -> RunningGateway:
    """The gateway that suits the fault."""
    return hasty if "silence" in fault else gateway


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("fault", FAULTS)
async def test_write_is_delivered_at_most_once(
    patience: RunningGateway, upstream: FaultUpstream, fault: str, method: str
) -> None:
    """Whatever goes wrong with a write, over a new connection or a used one: the upstream sees it once.

    What the app gets never makes its SDK send a POST again, unless the upstream itself asked for that.
    """
    target = WRITES[method]
    for warm in (True,) if "silence" in fault else (False, True):
        upstream.reset()
        if warm:
            assert (await ask(patience, "/warm")).status == 200
        upstream.on(target.partition("?")[0], FAULTS[fault])
        response = await ask(patience, target, method, body=b"{}" if method != "DELETE" else None)
        assert len([seen for seen in upstream.requests if seen.path != b"/warm"]) == 1
        if response.value(b"x-gateway-error-origin") == b"gateway":
            late = "silence" in fault and method in {"PUT", "DELETE"}
            assert response.status == (504 if late else 502)
            assert response.value(b"retry-after") is None


@pytest.mark.parametrize("fault", FAULTS)
async def test_read_is_sent_twice_at_most(
    patience: RunningGateway, upstream: FaultUpstream, fault: str, engine: str
) -> None:
    """A GET is sent once more where its connection ended before an answer, and for nothing else.

    Only where connections are kept can one have died meanwhile: never on httpx. What began to answer has not.
    """
    assert (await ask(patience, "/warm")).status == 200
    upstream.reset()
    upstream.on("/digitaltwins/t1", FAULTS[fault])
    await ask(patience)
    assert len(upstream.requests) == (2 if fault in SENT_AGAIN[engine] else 1)


@pytest.mark.parametrize(
    "fault", ["cut after the request", "reset after the request", "cut in the status line"]
)
async def test_read_on_the_first_connection(upstream: FaultUpstream, engine: str, fault: str) -> None:
    """Before there was any answer no connection is a kept one: a GET that breaks one is sent once."""
    upstream.on("/digitaltwins/t1", FAULTS[fault])
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        answers = [await ask(gateway) for _ in range(3)]
    assert [answer.status for answer in answers] == [502] * 3
    assert len(upstream.requests) == 3


async def test_kept_connection_that_died(engine: str) -> None:
    """An upstream that closes each connection after one answer costs reads nothing; writes are not repeated.

    Such a write was either sent once or, where the close was seen in time, sent on a new connection.
    """
    closing = faults.closing(faults.reply(200, b"fine"))
    async with (
        fault_upstream(closing) as upstream,
        running_gateway(upstream.origin, upstream={"engine": engine}) as gateway,
    ):
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"):
            upstream.requests.clear()
            body = b"{}" if method in {"PUT", "POST", "PATCH"} else None
            answers = [await ask(gateway, f"/n/{number}", method, body=body) for number in range(30)]
            paths = [seen.path for seen in upstream.requests]
            if method in {"GET", "HEAD"}:
                assert {answer.status for answer in answers} == {200}
            else:
                assert {answer.status for answer in answers} <= {200, 502}
                assert len(set(paths)) == len(paths)


async def test_retry_of_a_read_is_counted(upstream: FaultUpstream) -> None:
    """The second attempt shows in the metric and in the log, and the app sees only its answer."""
    upstream.on("/digitaltwins/t1", faults.cut(), faults.reply(200, b"second"))
    async with running_gateway(upstream.origin) as gateway:
        assert (await ask(gateway, "/warm")).status == 200
        response = await ask(gateway)
        assert await sample(gateway, 'adt_gateway_retries_total{reason="stale_connection"}') == 1
    assert (response.status, response.body) == (200, b"second")
    assert [line["attempts"] for line in gateway.exchanges()] == [1, 2]
