"""A request is delivered at most once, unless the upstream proved that it refused it, or a GET may run twice."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.issuer import Issuer
from tests.support.upstream import Behaviour, Call, FaultUpstream, fault_upstream
from tests.support.wire import DELETIONS, IMPORT, ask, chunked, connected, error_of, request, sample, told
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRITES = {"PUT": IMPORT, "POST": DELETIONS, "PATCH": "/digitaltwins/t1", "DELETE": "/jobs/imports/job-1"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
CHALLENGE = b'Bearer realm="", error="invalid_token"'


BEFORE_THE_HEAD = {
    "cut at once",
    "reset at once",
    "cut after the request",
    "reset after the request",
    "cut in the status line",
    "cut in the head",
}


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
    for warm in (False, True):
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
    patience: RunningGateway, upstream: FaultUpstream, fault: str
) -> None:
    """A GET is sent once more where its connection ended before a whole head, and for nothing else."""
    upstream.on("/digitaltwins/t1", FAULTS[fault])
    await ask(patience)
    assert len(upstream.requests) == (2 if fault in BEFORE_THE_HEAD else 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"])
async def test_kept_connection_that_died(engine: str, method: str) -> None:
    """An upstream that closes each connection after one answer costs reads nothing; writes are not repeated.

    Such a write was either sent once or, where the close was seen in time, sent on a new connection.
    """
    async with fault_upstream(faults.closing(faults.reply(200, b"fine"))) as upstream:
        async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
            body = b"{}" if method in {"PUT", "POST", "PATCH"} else None
            answers = [await ask(gateway, f"/n/{number}", method, body=body) for number in range(30)]
        if method in {"GET", "HEAD"}:
            assert {answer.status for answer in answers} == {200}
        else:
            assert {answer.status for answer in answers} <= {200, 502}
            paths = [seen.path for seen in upstream.requests]
            assert len(set(paths)) == len(paths)


async def test_retry_of_a_read_is_counted(engine: str, upstream: FaultUpstream) -> None:
    """The second attempt shows in the metric and in the log, and the app sees only its answer."""
    upstream.on("/digitaltwins/t1", faults.cut(), faults.reply(200, b"second"))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        response = await ask(gateway)
        assert await sample(gateway, 'adt_gateway_retries_total{reason="stale_connection"}') == 1
    assert (response.status, response.body) == (200, b"second")
    [line] = gateway.exchanges()
    assert line["attempts"] == 2


@asynccontextmanager
async def _with_issuer(engine: str, upstream: FaultUpstream) -> AsyncIterator[tuple[RunningGateway, Issuer]]:
    async with Issuer() as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": "right-secret"}
        auth = {"mode": "oauth2", "oauth2": oauth2}
        async with running_gateway(upstream.origin, upstream={"engine": engine}, auth=auth) as gateway:
            yield gateway, issuer


def _tokens(upstream: FaultUpstream) -> list[bytes]:
    return [token for seen in upstream.requests for token in seen.values(b"authorization")]


def _refuse_once(then: Behaviour | None = None) -> tuple[Behaviour, Behaviour]:
    return faults.reply(401, b"", [(b"www-authenticate", CHALLENGE)]), then or faults.reply(200, b"fine")


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE"])
async def test_401_is_met_with_a_new_token(engine: str, upstream: FaultUpstream, method: str) -> None:
    """A 401 proves refusal: any method goes once more with another token and the same body."""
    upstream.on("/digitaltwins/t1", *_refuse_once())
    async with _with_issuer(engine, upstream) as (gateway, issuer):
        body = None if method in {"GET", "DELETE"} else b"{" + b" " * 65_534 + b"}"
        response = await ask(gateway, method=method, body=body)
        assert await sample(gateway, 'adt_gateway_retries_total{reason="token"}') == 1
    assert (response.status, response.body) == (200, b"fine")
    assert _tokens(upstream) == [b"Bearer issued-1", b"Bearer issued-2"]
    assert [seen.body for seen in upstream.requests] == [body or b""] * 2
    assert issuer.requests == 2


async def test_401_of_a_chunked_body_that_was_kept(engine: str, upstream: FaultUpstream) -> None:
    """A short body that came in chunks is kept too."""
    upstream.on("/digitaltwins/t1", *_refuse_once())
    async with _with_issuer(engine, upstream) as (gateway, _):
        head = request(method="PUT", headers=[(b"transfer-encoding", b"chunked")])
        response = await told(gateway, head + chunked(b"one", b"two"))
    assert response.status == 200
    assert [seen.body for seen in upstream.requests] == [b"onetwo"] * 2


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_401_of_a_streamed_body_is_passed_on(
    engine: str, upstream: FaultUpstream, framing: str
) -> None:
    """A body over 64 KiB is gone once sent: the 401 reaches the app without its challenge; the token is new."""
    body = b"x" * 65_537
    upstream.on("/digitaltwins/t1", *_refuse_once())
    async with _with_issuer(engine, upstream) as (gateway, _):
        if framing == "length":
            response = await ask(gateway, method="PUT", body=body)
        else:
            head = request(method="PUT", headers=[(b"transfer-encoding", b"chunked")])
            response = await told(gateway, head + chunked(body))
        assert (response.status, error_of(response, origin="upstream")["code"]) == (401, "Unauthorized")
        assert response.value(b"www-authenticate") is None
        assert len(upstream.requests) == 1
        assert (await ask(gateway)).status == 200
    assert _tokens(upstream) == [b"Bearer issued-1", b"Bearer issued-2"]


async def test_401_that_stays_is_passed_on(engine: str, upstream: FaultUpstream) -> None:
    """An upstream that refuses every token: one replay, one refresh, and the app gets the 401; no loop."""
    upstream.on("/digitaltwins/t1", faults.reply(401, b"", [(b"www-authenticate", CHALLENGE)]))
    async with _with_issuer(engine, upstream) as (gateway, issuer):
        answers = [await ask(gateway) for _ in range(3)]
    assert {answer.status for answer in answers} == {401}
    assert len(upstream.requests) == 4
    assert issuer.requests == 2


async def test_claims_challenge_is_answered_by_the_gateway(engine: str, upstream: FaultUpstream) -> None:
    """Claims the upstream asks for go to the issuer in the clear form, and the app never sees the challenge."""
    claims = {"access_token": {"nbf": {"essential": True, "value": "1735689600"}}}
    encoded = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    challenge = b'Bearer realm="", error="insufficient_claims", claims="' + encoded + b'"'
    refused = faults.reply(401, b"", [(b"www-authenticate", challenge)])
    upstream.on("/digitaltwins/t1", refused, faults.reply(200, b"fine"))
    async with _with_issuer(engine, upstream) as (gateway, issuer):
        response = await ask(gateway)
    assert (response.status, response.value(b"www-authenticate")) == (200, None)
    assert "claims" not in issuer.seen[0].form
    assert json.loads(issuer.seen[1].form["claims"]) == claims


async def test_401_with_a_fixed_token_is_passed_on(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Where no other token can be had, the first 401 is the app's, and nothing is sent again."""
    upstream.on("/digitaltwins/t1", *_refuse_once())
    response = await ask(gateway)
    assert (response.status, response.value(b"www-authenticate")) == (401, None)
    assert _tokens(upstream) == [b"Bearer " + TOKEN.encode()]


@pytest.mark.parametrize("mode", ["passthrough", "none"])
async def test_401_is_the_apps_where_the_gateway_has_no_token(
    engine: str, upstream: FaultUpstream, mode: str
) -> None:
    """In passthrough and none the 401 and its challenge reach the app at once."""
    upstream.on("/digitaltwins/t1", *_refuse_once())
    settings: dict[str, Any] = {"upstream": {"engine": engine}, "auth": {"mode": mode}}
    async with running_gateway(upstream.origin, **settings) as gateway:
        response = await ask(gateway)
    assert (response.status, response.value(b"www-authenticate")) == (401, CHALLENGE)
    assert len(upstream.requests) == 1


async def test_replay_that_fails_is_told_as_it_is(engine: str, upstream: FaultUpstream) -> None:
    """The second attempt after a 401 fails: the app gets that failure, with the rules of its method."""
    upstream.on("/digitaltwins/t1", *_refuse_once(faults.cut()))
    async with _with_issuer(engine, upstream) as (gateway, _):
        response = await ask(gateway, method="POST", body=b"{}")
    assert (response.status, error_of(response)["code"]) == (502, "GatewayUpstreamConnectionLost")
    assert len(upstream.requests) == 2


async def test_no_request_leaves_before_the_first_token(engine: str, upstream: FaultUpstream) -> None:
    """A request that comes while the first token is fetched waits for it, and is then sent with it."""
    gate = asyncio.Event()
    async with Issuer(gate=gate) as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": "right-secret"}
        auth = {"mode": "oauth2", "oauth2": oauth2}
        async with (
            running_gateway(upstream.origin, upstream={"engine": engine}, auth=auth) as gateway,
            connected(gateway) as client,
        ):
            await client.send(request())
            await issuer.asked.wait()
            assert upstream.requests == []
            gate.set()
            assert (await client.response()).status == 200
    assert _tokens(upstream) == [b"Bearer issued-1"]
