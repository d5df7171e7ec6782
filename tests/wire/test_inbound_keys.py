"""Shared keys: what opens the gateway, and whose credentials reach the upstream: its own, and no others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.http1 import Pairs
from tests.support.upstream import FaultUpstream
from tests.support.wire import ask, refused
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD = "old-key-of-the-app-0123456789"
NEW = "new-key-of-the-app-0123456789"
OTHER = "key-of-another-app-0123456789"
OURS = [b"Bearer " + TOKEN.encode()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(
    engine: str, module_upstream: FaultUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningGateway]:
    """A gateway that asks for a key: two callers in the settings, one in a file."""
    file: Path = tmp_path_factory.mktemp("keys") / "other"
    file.write_text(OTHER + "\n")  # noqa: ASYNC240 - before anything runs
    inbound = {"keys": {"app-old": OLD, "app-new": NEW}, "key_files": {"other": file}}
    auth: dict[str, Any] = {"mode": "static", "static": {"token": TOKEN}, "inbound": inbound}
    async with running_gateway(module_upstream.origin, upstream={"engine": engine}, auth=auth) as running:
        yield running


@pytest.mark.parametrize("key", [OLD, NEW, OTHER])
@pytest.mark.parametrize("name", ["x-gateway-key", "X-Gateway-Key", "bearer", "Bearer"])
async def test_key_opens_the_gateway_and_ends_there(
    keyed: RunningGateway, upstream: FaultUpstream, name: str, key: str
) -> None:
    """Both keys of a rotation and one from a file work, in their own header and as bearer token.

    The key is not forwarded.
    """
    header = ("authorization", f"{name} {key}") if "earer" in name else (name, key)
    response = await ask(keyed, headers=[(header[0].encode(), header[1].encode())])
    assert response.status == 200
    assert upstream.last.values(b"authorization") == OURS
    assert key.encode() not in upstream.last.head


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-gateway-key", b"")],
        [(b"x-gateway-key", OLD[:-1].encode())],
        [(b"x-gateway-key", OLD.encode() + b"0")],
        [(b"x-gateway-key", OLD.upper().encode())],
        [(b"x-gateway-key", b"app-old")],
        [(b"x-gateway-key", b"Bearer " + OLD.encode())],
        [(b"authorization", b"Basic " + OLD.encode())],
        [(b"authorization", OLD.encode())],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer " + TOKEN.encode())],
        [(b"cookie", b"x-gateway-key=" + OLD.encode())],
    ],
)
async def test_without_a_valid_key_nothing_passes(
    keyed: RunningGateway, upstream: FaultUpstream, headers: Pairs
) -> None:
    """No key, a wrong one, or a right one in the wrong place: 401, and nothing is sent upstream."""
    message = refused(await ask(keyed, headers=headers), 401, "GatewayUnauthorized")
    assert OLD not in message
    assert upstream.requests == []


async def test_key_in_the_query_is_no_key(keyed: RunningGateway, upstream: FaultUpstream) -> None:
    """A key is not read from the URL, where it would be logged."""
    refused(await ask(keyed, f"/models?x-gateway-key={OLD}"), 401, "GatewayUnauthorized")
    assert upstream.requests == []


async def test_caller_is_named_in_the_log_and_the_key_is_not(engine: str, upstream: FaultUpstream) -> None:
    """The log says which key let the caller in, never the key."""
    auth = {"mode": "none", "inbound": {"keys": {"app-old": OLD, "app-new": NEW}, "header": "X-My-Key"}}
    async with running_gateway(upstream.origin, upstream={"engine": engine}, auth=auth) as gateway:
        assert (await ask(gateway, headers=[(b"x-my-key", NEW.encode())])).status == 200
        refused(await ask(gateway, headers=[(b"x-my-key", b"wrong" * 5)]), 401, "GatewayUnauthorized")
    assert [line.get("caller") for line in gateway.exchanges()] == ["app-new", None]
    assert OLD not in gateway.log.getvalue()
    assert NEW not in gateway.log.getvalue()
    assert "wrongwrong" not in gateway.log.getvalue()


async def test_passthrough_keeps_the_apps_token_apart_from_the_key(
    engine: str, upstream: FaultUpstream
) -> None:
    """In passthrough mode the bearer token is the upstream's, so only the key's own header opens."""
    auth = {"mode": "passthrough", "inbound": {"keys": {"app": OLD}}}
    async with running_gateway(upstream.origin, upstream={"engine": engine}, auth=auth) as gateway:
        bearer = (b"authorization", b"Bearer " + OLD.encode())
        refused(await ask(gateway, headers=[bearer]), 401, "GatewayUnauthorized")
        both = [(b"x-gateway-key", OLD.encode()), (b"authorization", b"Bearer of-the-app")]
        assert (await ask(gateway, headers=both)).status == 200
    assert upstream.last.values(b"authorization") == [b"Bearer of-the-app"]
    assert upstream.last.values(b"x-gateway-key") == []


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-gateway-key", OLD.encode()), (b"connection", b"X-Gateway-Key, authorization")],
        [(b"x-gateway-key", b" \t" + OLD.encode() + b" \t")],
        [(b"x-gateway-key", OLD.encode()), (b"authorization", b"Bearer " + NEW.encode())],
        [(b"authorization", b"bEARER   " + OLD.encode() + b"  ")],
    ],
)
async def test_no_spelling_takes_a_key_upstream(
    keyed: RunningGateway, upstream: FaultUpstream, headers: Pairs
) -> None:
    """However often and wherever a key is sent, the upstream sees the gateway's token, and no key."""
    assert (await ask(keyed, headers=headers)).status == 200
    assert upstream.last.values(b"authorization") == OURS
    assert upstream.last.values(b"x-gateway-key") == []
    assert not any(key.encode() in upstream.last.head for key in (OLD, NEW))


@pytest.mark.parametrize("first", [b"wrong", OLD.encode(), NEW.encode()])
async def test_a_repeated_key_is_refused(
    keyed: RunningGateway, upstream: FaultUpstream, first: bytes
) -> None:
    """A request has one guess at a key, and no two keys."""
    headers = [(b"x-gateway-key", first), (b"X-Gateway-Key", OLD.encode())]
    message = refused(await ask(keyed, headers=headers), 400, "GatewayRequestInvalid")
    assert message == "The request is not forwarded: more than one x-gateway-key header."
    assert upstream.requests == []


@pytest.mark.parametrize(
    "name", [b"x_gateway_key", b"x_gateway-key", b"X-Gateway_Key", b"x-gateway-key_", b"_x-gateway-key"]
)
async def test_a_name_that_imitates_the_keys_is_refused(
    keyed: RunningGateway, upstream: FaultUpstream, name: bytes
) -> None:
    """A header that a server behind might read as the key's does not pass, valid key beside it or not."""
    refused(await ask(keyed, headers=[(name, OLD.encode())]), 400, "GatewayRequestInvalid")
    both = [(name, NEW.encode()), (b"x-gateway-key", OLD.encode())]
    refused(await ask(keyed, headers=both), 400, "GatewayRequestInvalid")
    assert upstream.requests == []
