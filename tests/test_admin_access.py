"""The admin listener without its token: who may see what, by peer and Host, over real sockets."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.admin.access import host_name, is_loopback
from gateway.config import Admin
from tests.support.addresses import require_own_address
from tests.support.admin import LOCKED, OPEN, ask, house, is_error
from tests.support.asgi_server import served

ANY = "0.0.0.0"  # noqa: S104 - what the rules for other machines are about
TOKEN = "admin-token-1"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin listener on this machine."""
    async with (
        served(house().app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:9464", True),
        ("127.0.0.1:1", True),
        ("[::1]:9464", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        (ANY, False),
        ("", False),
    ],
)
async def test_host(client: httpx.AsyncClient, host: str, *, allowed: bool) -> None:
    """A foreign Host opens neither page nor `/api`, so DNS rebinding does not; probes may use any."""
    for path in LOCKED:
        response = await client.get(path, headers={"host": host})
        assert response.status_code == 200 if allowed else is_error(response, 421, "GatewayMisdirected")
    for path in OPEN:
        assert (await client.get(path, headers={"host": host})).status_code == 200


async def test_bound_name_is_allowed() -> None:
    """The name that the listener is bound to is one of its Hosts."""
    async with (
        served(house(Admin(host="admin.internal")).app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        assert (await client.get("/api/jobs", headers={"host": "admin.internal:9464"})).status_code == 200


async def test_two_hosts() -> None:
    """Two Host headers are no Host at all."""
    async with served(house().app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        status = (await reader.read()).split(b"\r\n", 1)[0]
        writer.close()
        await writer.wait_closed()
    assert status.split()[1] in {b"400", b"421"}


@pytest.mark.parametrize("path", LOCKED)
@pytest.mark.parametrize(
    ("settings", "headers", "status", "code"),
    [
        (Admin(host=ANY), {}, 403, "GatewayForbidden"),
        (Admin(host=ANY), {"x-forwarded-for": "127.0.0.1"}, 403, "GatewayForbidden"),
        (Admin(host=ANY), {"authorization": "Bearer None"}, 403, "GatewayForbidden"),
        (Admin.model_validate({"token": TOKEN}), {}, 401, "GatewayUnauthorized"),
        (Admin.model_validate({"token": TOKEN}), {"authorization": "Bearer x"}, 401, "GatewayUnauthorized"),
        (Admin.model_validate({"token": TOKEN}), {"authorization": TOKEN}, 401, "GatewayUnauthorized"),
    ],
)
async def test_other_machines_are_refused(
    path: str, settings: Admin, headers: dict[str, str], status: int, code: str
) -> None:
    """Page and `/api` stay shut to other machines without the token, whatever headers say."""
    response = await ask(house(settings).app, path, "10.9.8.7", {"host": "localhost", **headers})
    assert is_error(response, status, code)
    offered = ["Bearer", 'Basic realm="adt-gateway", charset="UTF-8"'] if status == 401 else []
    assert response.headers.get_list("www-authenticate") == offered
    assert TOKEN not in response.text


@pytest.mark.parametrize("path", OPEN)
async def test_probes_are_open(path: str) -> None:
    """Metrics and health answer any peer, as a kubelet or Prometheus needs."""
    assert (await ask(house(Admin(host=ANY)).app, path, "10.9.8.7", {})).status_code == 200


async def test_the_peer_is_the_sockets() -> None:
    """Over a real socket from an address that is not loopback, forwarded headers open nothing."""
    address = require_own_address()
    async with (
        served(house(Admin(host=ANY)).app, ANY) as port,
        httpx.AsyncClient(base_url=f"http://{address}:{port}", trust_env=False) as client,
    ):
        spoofed = {"host": "localhost", "x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}
        assert is_error(await client.get("/api/jobs", headers=spoofed), 403, "GatewayForbidden")
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("localhost", False),
        ("", False),
        ("127.1", False),
    ],
)
def test_is_loopback(address: str, *, loopback: bool) -> None:
    """Only literal loopback addresses count, IPv4 mapped into IPv6 too."""
    assert is_loopback(address) is loopback


@pytest.mark.parametrize(
    ("value", "name"),
    [("A.b:80", "a.b"), ("a.b", "a.b"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("", ""), ("[", "")],
)
def test_host_name(value: str, name: str) -> None:
    """A Host's name is what stands before its port, without brackets."""
    assert host_name(value) == name
