"""Whose processes may use the Unix socket: real processes of other users, and the kernel's word for it."""

import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.other_user import Said, open_folder, say
from tests.support.raw import raw_client
from tests.support.upstream import FaultUpstream
from tests.support.wire import request

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP, OTHER = 54_321, 54_322
"""Users without a name, as in containers."""
KEY = "key-of-the-app-0123456789"
CLOSE = (b"connection", b"close")
REQUEST = request(headers=[CLOSE])
KEYED = request(headers=[CLOSE, (b"x-gateway-key", KEY.encode())])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@asynccontextmanager
async def _serving(upstream: FaultUpstream, path: Path, **inbound: Any) -> AsyncIterator[RunningGateway]:
    auth = {"mode": "none", "inbound": inbound}
    async with running_gateway(upstream.origin, listen={"unix_socket": path}, auth=auth) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listing(module_upstream: FaultUpstream, folder: Path) -> AsyncIterator[Path]:
    """The socket of a gateway for root and one other user."""
    path = folder / "listing.sock"
    async with _serving(module_upstream, path, peer_uids=[0, APP]):
        yield path


def forbidden(said: Said) -> bool:
    """Whether it is the 403 that names the rule, as an ErrorResponse."""
    return said.status == 403 and all(
        text in said.text for text in ('{"error":{"code":"GatewayForbidden"', "auth.inbound.peer_uids")
    )


async def test_listed_users_get_in(listing: Path, upstream: FaultUpstream) -> None:
    """Processes of the listed users are answered."""
    assert (await say(listing, REQUEST, uid=APP)).status == 200
    assert (await say(listing, REQUEST, uid=0)).status == 200
    assert len(upstream.requests) == 2


async def test_another_user_is_refused(listing: Path, upstream: FaultUpstream) -> None:
    """A process that may open the socket, but whose user is not listed, gets 403; nothing goes upstream."""
    assert forbidden(await say(listing, REQUEST, uid=OTHER))
    headers = [CLOSE, (b"x-gateway-uid", b"0"), (b"x-forwarded-user", b"root")]
    assert forbidden(await say(listing, request(headers=headers), uid=OTHER))
    assert upstream.requests == []


async def test_the_socket_is_closed_to_other_groups(listing: Path) -> None:
    """The file lets its owner and group in; a listed user of another group cannot even connect."""
    assert stat.S_IMODE(listing.stat().st_mode) == 0o660  # noqa: ASYNC240 - the socket's file
    said = await say(listing, REQUEST, uid=APP, gid=OTHER)
    assert (said.status, "PermissionError" in said.text) == (0, True)


async def test_who_connected_counts(listing: Path) -> None:
    """The user is read for the connection: what the process becomes afterwards changes nothing."""
    assert (await say(listing, REQUEST, uid=OTHER, late=True)).status == 200


async def test_every_request_of_a_connection_has_its_user(listing: Path) -> None:
    """Requests one behind the other on one connection are all of the user who opened it."""
    said = await say(listing, request() + REQUEST, uid=APP)
    assert said.text.count("HTTP/1.1 200") == 2
    said = await say(listing, request() + REQUEST, uid=OTHER)
    assert "HTTP/1.1 200" not in said.text


async def test_user_and_key_are_both_asked_for(upstream: FaultUpstream, folder: Path) -> None:
    """With keys, too, a listed user needs one, and a key excuses no other user; the log names both."""
    path = folder / "keyed.sock"
    async with _serving(upstream, path, peer_uids=[APP], keys={"orders": KEY}) as gateway:
        assert (await say(path, REQUEST, uid=APP)).status == 401
        assert (await say(path, KEYED, uid=APP)).status == 200
        assert forbidden(await say(path, KEYED, uid=OTHER))
    assert [line["caller"] for line in gateway.exchanges()] == [
        f"uid:{APP}",
        f"orders, uid:{APP}",
        f"orders, uid:{OTHER}",
    ]
    assert len(upstream.requests) == 1


async def test_without_a_list_the_log_names_the_user(upstream: FaultUpstream, folder: Path) -> None:
    """Whoever can open the socket gets in, and the log has the user, for malformed requests, too."""
    path = folder / "open.sock"
    async with _serving(upstream, path) as gateway:
        assert (await say(path, REQUEST, uid=OTHER)).status == 200
        assert (await say(path, b"GET  HTTP\r\n\r\n", uid=OTHER)).status == 400
    assert [line["caller"] for line in gateway.exchanges()] == [f"uid:{OTHER}"] * 2


async def test_own_user(upstream: FaultUpstream, tmp_path: Path) -> None:
    """Without root, too: this process's own user is known, and is refused where another is listed."""
    path = tmp_path / "own.sock"
    async with (
        _serving(upstream, path, peer_uids=[OTHER]),
        raw_client(unix_socket=path) as client,
    ):
        await client.send(request())
        assert (await client.response()).status == 403
