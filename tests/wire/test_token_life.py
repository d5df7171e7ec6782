"""A token's life under load: the first one, its rotation, its refusal, and an issuer that is down."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from gateway.emulator import running_emulator
from tests.support.azure import Azure, auth_for, fast, http_client, running_azure
from tests.support.gateway import running_gateway

TOKEN_PATH = "/00000000-0000-0000-0000-000000000001/oauth2/"
NO_QUEUE = {"max_connections": 500, "timeout": {"pool": 30}}
"""So that tokens alone decide what a burst gets."""
QUERY = "?api-version=2023-10-31"


async def burst(azure: Azure, count: int, path: str = "/eventroutes") -> Counter[tuple[int, str | None]]:
    """So many requests at once: how often which status and error code came back."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> tuple[int, str | None]:
            async with session.get(f"{azure.gateway.data}{path}{QUERY}") as answer:
                await answer.read()
                return answer.status, answer.headers.get("x-ms-error-code")

        return Counter(await asyncio.gather(*(one() for _ in range(count))))


async def until(holds: Callable[[], Awaitable[bool]], within: float = 20) -> None:
    """Ask again and again until it holds; TimeoutError if it does not."""
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110 - the other side of a socket sets no event
            await asyncio.sleep(0.02)


def tokens(azure: Azure) -> list[str]:
    """The Authorization of each request that arrived, in order."""
    return [
        value for entry in azure.arrived for name, value in entry.headers if name.lower() == "authorization"
    ]


async def refreshes(azure: Azure, result: str) -> float:
    start = f'adt_gateway_token_refreshes_total{{result="{result}",source="oauth2"}} '
    [line] = [line for line in (await azure.metrics()).splitlines() if line.startswith(start)]
    return float(line.removeprefix(start))


async def test_500_requests_at_a_cold_start() -> None:
    """They all wait for one token request, and are all answered."""
    async with running_emulator(fast()) as cloud:
        auth = auth_for(cloud.url, cloud.emulator.state.settings)
        async with running_gateway(cloud.url, auth=auth, upstream=NO_QUEUE) as gateway:
            azure = Azure(gateway, cloud)
            azure.wrong(path=TOKEN_PATH, delay=0.5)
            assert await burst(azure, 500) == {(200, None): 500}
        assert azure.token_requests == 1
        assert len(set(tokens(azure))) == 1


@pytest.mark.slow
async def test_a_token_of_two_seconds_under_steady_load() -> None:
    """For 30 s no request fails, none leaves with an expired token, and each rotation asks once."""
    async with running_azure(fast(expires_in=2, journal_size=20_000)) as azure, azure.app() as app:
        statuses: Counter[int] = Counter()

        async def worker(end: float) -> None:
            while asyncio.get_running_loop().time() < end:
                statuses[(await app.get("/eventroutes")).status_code] += 1
                await asyncio.sleep(0.02)

        end = asyncio.get_running_loop().time() + 30
        await asyncio.gather(*(worker(end) for _ in range(4)))
        assert set(statuses) == {200}
        assert statuses[200] > 1_000
        assert {entry.status for entry in azure.arrived} == {200}
        assert len(set(tokens(azure))) >= 15
        assert azure.token_requests == await refreshes(azure, "success") <= 60


async def test_a_401_once() -> None:
    """One refusal: one refresh, one replay with the same body, and the app sees the answer of the second."""
    async with running_azure() as azure, azure.app() as app:
        azure.wrong(status=401, path="/query")
        answer = await app.post("/query", json={"query": "SELECT COUNT() FROM digitaltwins"})
        assert answer.status_code == 200
        first, second = azure.arrived
        assert (first.status, second.status) == (401, 200)
        assert first.body_sha256 == second.body_sha256
        assert len(set(tokens(azure))) == 2
        assert azure.token_requests == 2


async def test_a_401_always() -> None:
    """A refusal that stays is passed on as an error without its challenge, and forces nothing more."""
    async with running_azure() as azure, azure.app() as app:
        azure.wrong(kind="oauth-error", path="/models", times=None)
        answers = [await app.get("/models") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [401] * 5
        for answer in answers:
            assert answer.json()["error"]["code"] == answer.headers["x-ms-error-code"]
            assert answer.headers["x-gateway-error-origin"] == "upstream"
            assert "www-authenticate" not in answer.headers
        assert azure.token_requests == 2
        assert len(azure.arrived) == 6


async def test_a_401_in_a_burst() -> None:
    """200 requests whose token was revoked: one refresh for all, one replay each, all answered."""
    async with running_azure(upstream=NO_QUEUE) as azure, azure.app() as app:
        assert (await app.get("/eventroutes")).status_code == 200
        azure.cloud.emulator.state.issuer.revoke()
        assert await burst(azure, 200) == {(200, None): 200}
        assert azure.token_requests == 2
        assert len(azure.arrived) <= 401
        assert Counter(entry.status for entry in azure.arrived)[200] == 201


async def test_a_401_for_a_whole_burst_and_its_replays() -> None:
    """200 requests that are refused whatever their token: one refresh, at most one replay each, no loop."""
    async with running_azure(upstream=NO_QUEUE) as azure:
        azure.wrong(status=401, path="/models", times=None)
        assert await burst(azure, 200, "/models") == {(401, "Unauthorized"): 200}
        assert azure.token_requests == 2
        assert len(azure.arrived) <= 400


async def test_a_401_while_tokens_rotate() -> None:
    """Another token at hand each time is no reason to go on: two attempts, then the refusal is the answer."""
    async with running_azure(fast(expires_in=1)) as azure, azure.app() as app:
        azure.wrong(status=401, path="/models", delay=0.6, times=6)
        assert (await app.get("/models")).status_code == 401
        assert len(azure.arrived) == len(set(tokens(azure))) == 2


async def test_a_401_for_a_body_that_was_not_kept() -> None:
    """A body too large to be kept is not sent again, but the next request has a new token."""
    async with running_azure(limits={"replay_body": 1_024}) as azure, azure.app() as app:
        azure.wrong(status=401, path="/query")
        query = {"query": "SELECT COUNT() FROM digitaltwins" + " " * 2_048}
        assert (await app.post("/query", json=query)).status_code == 401
        assert (await app.post("/query", json=query)).status_code == 200
        assert [entry.status for entry in azure.arrived] == [401, 200]
        assert len(set(tokens(azure))) == 2
        assert azure.token_requests == 2


async def test_a_claims_challenge_is_answered_by_the_gateway() -> None:
    """The claims that the upstream asks for reach the issuer, and the app never sees the challenge."""
    async with running_azure() as azure, azure.app() as app:
        challenge = 'Bearer error="insufficient_claims", claims="eyJhIjp7fX0="'
        azure.wrong(status=401, path="/models", headers=[("WWW-Authenticate", challenge)])
        answer = await app.get("/models")
        assert (answer.status_code, "www-authenticate" in answer.headers) == (200, False)
        asked = [entry for entry in azure.cloud.emulator.state.journal.entries if "oauth2" in entry.target]
        assert ["claims=%7B%22a%22%3A%7B%7D%7D" in entry.body for entry in asked] == [False, True]


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on for the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_an_issuer_that_is_down_at_the_start(free_port: int) -> None:
    """The gateway stays up, not ready, answers 503 that says when to come again, and recovers by itself."""
    url, settings = f"http://127.0.0.1:{free_port}", fast()
    async with (
        running_gateway(url, auth=auth_for(url, settings)) as gateway,
        http_client(gateway.data) as app,
        http_client(gateway.admin, params={}) as operator,
    ):
        answer = await app.get("/eventroutes")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "GatewayTokenUnavailable"
        assert answer.json()["error"]["innererror"]["code"] == "IssuerUnreachable"
        assert answer.headers["x-ms-error-code"] == "GatewayTokenUnavailable"
        assert answer.headers["x-gateway-error-origin"] == "gateway"
        assert int(answer.headers["retry-after"]) >= 1
        ready = await operator.get("/readyz?verbose")
        assert (ready.status_code, "[-] token" in ready.text) == (503, True)
        assert (await operator.get("/livez")).status_code == 200

        async def is_ready() -> bool:
            return (await operator.get("/readyz")).status_code == 200

        async with running_emulator(settings, port=free_port) as cloud:
            await until(is_ready)
            assert (await app.get("/eventroutes")).status_code == 200
            assert Azure(gateway, cloud).token_requests == 1
    said = [line for line in gateway.lines() if line.get("logger") == "gateway.tokens"]
    assert [line["level"] for line in said] == ["warning", "info"]
    assert (said[0]["reason"], said[0]["source"]) == ("IssuerUnreachable", "oauth2")


async def test_readiness_follows_the_first_token() -> None:
    """Not ready while the first token is being fetched, ready once it is at hand."""
    async with running_emulator(fast()) as cloud:
        auth = auth_for(cloud.url, cloud.emulator.state.settings)
        async with running_gateway(cloud.url, auth=auth) as gateway:
            azure = Azure(gateway, cloud)
            azure.wrong(path=TOKEN_PATH, delay=0.3)
            async with azure.operator() as operator, azure.app() as app:
                assert (await operator.get("/readyz")).status_code == 503
                assert (await app.get("/eventroutes")).status_code == 200
                assert (await operator.get("/readyz")).status_code == 200


async def test_a_failed_refresh_keeps_the_valid_token() -> None:
    """An issuer that fails while the token is valid costs no request."""
    async with running_azure(fast(expires_in=4)) as azure, azure.app() as app:
        assert (await app.get("/eventroutes")).status_code == 200
        azure.wrong(path=TOKEN_PATH, status=500, times=None)

        async def has_failed() -> bool:
            assert (await app.get("/eventroutes")).status_code == 200
            return await refreshes(azure, "failure") > 0

        await until(has_failed)
        assert len(set(tokens(azure))) == 1
