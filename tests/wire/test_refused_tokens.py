"""A 401 proves refusal: the request goes once more with a new token, if its body was kept."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.issuer import Issuer
from tests.support.upstream import Behaviour, FaultUpstream
from tests.support.wire import ask, chunked, connected, error_of, request, sample, told
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHALLENGE = b'Bearer realm="", error="invalid_token"'


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
    """A body over 64 KiB is gone once sent: the 401 reaches the app, without its challenge."""
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
    """Claims the upstream asks for go to the issuer, decoded, and the app never sees the challenge."""
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
