"""`admin.token` opens page and `/api` of the admin listener: as bearer token, and as a browser's password."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.config import Admin
from tests.support.addresses import require_own_address
from tests.support.admin import LOCKED, ask, house, is_error
from tests.support.asgi_server import served

ANY = "0.0.0.0"  # noqa: S104 - what the rules for other machines are about
TOKEN = "admin-token-1"


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


async def test_a_wrong_password_shuts_nothing_here() -> None:
    """On the machine itself no token is needed, and a wrong one keeps nobody out."""
    settings = Admin.model_validate({"token": TOKEN})
    for authorization in ("Basic eDp5", "Basic ?", "Bearer x"):
        headers = {"host": "localhost", "authorization": authorization}
        assert (await ask(house(settings).app, "/", "127.0.0.1", headers)).status_code == 200


async def test_no_password_opens_without_a_token() -> None:
    """Where `admin.token` is not set nothing that is sent is it, an empty password included."""
    for authorization in (basic(":"), basic("admin:None"), "Bearer ", "Basic "):
        response = await ask(house().app, "/", "10.9.8.7", {"authorization": authorization})
        assert is_error(response, 403, "GatewayForbidden")
        assert "www-authenticate" not in response.headers


async def test_a_browser_on_another_machine_is_asked() -> None:
    """Over a real socket from an address that is not loopback a 401 asks for the token, and it opens."""
    address = require_own_address()
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
