"""The admin listener: who may see what, over real sockets."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.admin.access import host_name, is_loopback
from gateway.config import Admin
from tests.support.addresses import own_address
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


@pytest.mark.parametrize("path", LOCKED)
async def test_the_token_opens(path: str) -> None:
    """`admin.token` opens page and `/api` to any peer under any Host."""
    settings = Admin.model_validate({"token": TOKEN})
    for scheme in ("Bearer", "bearer"):
        response = await ask(house(settings).app, path, "10.9.8.7", {"authorization": f"{scheme} {TOKEN}"})
        assert response.status_code == 200


def basic(text: str) -> str:
    """Credentials as RFC 7617 has them: `user:password` in base64."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"


RIGHT = basic(f"admin:{TOKEN}")
PASSWORDS = {
    RIGHT: True,
    basic(f":{TOKEN}"): True,
    basic(f"Ünïcøde @ home:{TOKEN}"): True,
    RIGHT.replace("Basic", "bAsIc"): True,
    RIGHT.replace(" ", "   "): True,
    basic(TOKEN): False,
    basic(f"{TOKEN}:"): False,
    basic(f"{TOKEN}:x"): False,
    basic(f"admin:x:{TOKEN}"): False,
    basic(f"admin:{TOKEN} "): False,
    basic(f"admin:{TOKEN[:-1]}"): False,
    basic("admin:"): False,
    f"Basic {TOKEN}": False,
    f"Basic admin:{TOKEN}": False,
    RIGHT.rstrip("="): False,
    f"{RIGHT} x": False,
    f"{RIGHT[:12]}*{RIGHT[12:]}": False,
    "Basic": False,
    "Basic é": False,
    f"Digest admin:{TOKEN}": False,
    "": False,
}
"""What is sent as Authorization, and whether it holds the token."""


@asynccontextmanager
async def seen_from_afar(token: str) -> AsyncIterator[Callable[[str], Awaitable[httpx.Response]]]:
    """Asks for the status with an Authorization, under a Host that only the token makes right.

    So loopback can stand for another machine.
    """
    settings = Admin.model_validate({"token": token})
    async with (
        served(house(settings).app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):

        async def asked(authorization: str) -> httpx.Response:
            headers = [(b"host", b"foreign.example"), (b"authorization", authorization.encode())]
            return await client.get("/api/status", headers=headers)

        yield asked


async def test_the_token_as_a_password() -> None:
    """The token is the password of any user, whole and exact; what is not base64 is no token."""
    assert RIGHT.endswith("=")
    async with seen_from_afar(TOKEN) as asked:
        for authorization, opens in PASSWORDS.items():
            response = await asked(authorization)
            right = response.status_code == 200 if opens else is_error(response, 421, "GatewayMisdirected")
            assert right, authorization


@pytest.mark.parametrize("token", ["Zürich-日本-" + "x" * 200, "with:colon", " ", "ends with space "])
async def test_any_token_can_be_a_password(token: str) -> None:
    """A token in UTF-8, with colons or spaces opens as a password just as it is."""
    async with seen_from_afar(token) as asked:
        assert (await asked(basic(f"admin:{token}"))).status_code == 200
        assert (await asked(basic(f"admin:{token}x"))).status_code == 421


async def test_a_wrong_password_shuts_nothing_here(client: httpx.AsyncClient) -> None:
    """On the machine itself no token is needed, and a wrong one keeps nobody out."""
    for authorization in ("Basic eDp5", "Basic ?", "Bearer x"):
        assert (await client.get("/", headers={"authorization": authorization})).status_code == 200


async def test_no_password_opens_without_a_token() -> None:
    """Where `admin.token` is not set nothing that is sent is it, an empty password included."""
    for authorization in (basic(":"), basic("admin:None"), "Bearer ", "Basic "):
        response = await ask(house().app, "/", "10.9.8.7", {"authorization": authorization})
        assert is_error(response, 403, "GatewayForbidden")
        assert "www-authenticate" not in response.headers


async def test_a_browser_on_another_machine_is_asked() -> None:
    """Over a real socket from an address that is not loopback a 401 asks for the token, and it opens."""
    address = own_address()
    if address is None or is_loopback(address):
        pytest.skip("this machine has no address but loopback")
    settings = Admin.model_validate({"host": ANY, "token": TOKEN})
    async with (
        served(house(settings).app, ANY) as port,
        httpx.AsyncClient(base_url=f"http://{address}:{port}", trust_env=False) as client,
    ):
        for path in LOCKED:
            refused = await client.get(path)
            assert is_error(refused, 401, "GatewayUnauthorized")
            assert refused.headers.get_list("www-authenticate")[1].startswith("Basic realm=")
            assert (await client.get(path, auth=("me", TOKEN))).status_code == 200
            assert (await client.get(path, auth=("me", "x"))).status_code == 401


@pytest.mark.parametrize("path", OPEN)
async def test_probes_are_open(path: str) -> None:
    """Metrics and health answer any peer, as a kubelet or Prometheus needs."""
    assert (await ask(house(Admin(host=ANY)).app, path, "10.9.8.7", {})).status_code == 200


async def test_the_peer_is_the_sockets() -> None:
    """Over a real socket from an address that is not loopback, forwarded headers open nothing."""
    address = own_address()
    if address is None or is_loopback(address):
        pytest.skip("this machine has no address but loopback")
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
