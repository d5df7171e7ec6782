"""A real server with the configuration and the users of the manifests, and gateways that are its clients."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway import config
from gateway.fleet import Fleet, open_fleet
from tests.stress.store import Server
from tests.support.kubernetes import KUBERNETES, build, one, pod_of
from tests.support.programs import require_program
from tests.support.wire import until

FOLDER = KUBERNETES / "components" / "valkey"
INSTANCE = "contoso.api.weu.digitaltwins.azure.net"
PASSWORD = "a-password"


class Told:
    """What a fleet tells of its store."""

    def __init__(self) -> None:
        self.results: set[tuple[str, str]] = set()

    def operation(self, name: str, result: str, seconds: float) -> None:
        """Keep how it went."""
        assert seconds >= 0
        self.results.add((name, result))

    def up(self, usable: bool) -> None:
        """Nothing is made of it."""


def _probe() -> list[str]:
    """The arguments of the pod's probes."""
    (container,) = pod_of(one(build(KUBERNETES / "overlays" / "fleet"), "StatefulSet"))["containers"]
    commands = [container[name]["exec"]["command"] for name in ("startupProbe", "readinessProbe")]
    assert commands[0] == commands[1]
    program, *arguments = commands[0]
    assert program == "valkey-cli"
    return list(arguments)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """As the pod runs it, but for address and folders."""
    require_program("redis-server", "apt-get install redis-server")
    require_program("redis-cli", "apt-get install redis-tools")
    users = tmp_path / "users.acl"
    users.write_text((FOLDER / "users.acl").read_text().replace("PASSWORD", PASSWORD))
    data = tmp_path / "data"
    data.mkdir()
    text = (FOLDER / "valkey.conf").read_text()
    text = text.replace("/etc/valkey-users/users.acl", str(users)).replace("dir /data", f"dir {data}")
    server = Server(data, set(), config=text, probe=_probe())
    await server.start()
    yield server
    await server.kill()


@asynccontextmanager
async def joined(server: Server, folder: Path, password: str, told: Told) -> AsyncIterator[Fleet]:
    """A gateway's part of the fleet, which takes the password from a file."""
    file = folder / f"{password}.txt"
    file.write_text(password)
    settings = config.Fleet.model_validate(
        {
            "url": f"redis://adt-gateway@127.0.0.1:{server.port}",
            "password_file": file,
            "expected_size": 2,
        }
    )
    async with open_fleet(
        settings,
        instance=INSTANCE,
        interval=1.02,
        burst=1,
        timers=asyncio.get_running_loop(),
        chance=random.Random(1),  # noqa: S311 - no secret
        log=logging.getLogger("fleet"),
        told=told,
    ) as fleet:
        yield fleet


async def test_users_may_do_what_gateways_do(server: Server, tmp_path: Path) -> None:
    """Every verb of a fleet succeeds for the user of the manifests, and news reach another gateway."""
    told, heard = Told(), asyncio.Event()
    async with AsyncExitStack() as there:
        one = await there.enter_async_context(joined(server, tmp_path, PASSWORD, told))
        other = await there.enter_async_context(joined(server, tmp_path, PASSWORD, told))
        other.listen("jobs", lambda _key, _payload, _age: heard.set())
        assert not one.away
        assert await one.reserve() is not None
        one.pause(0.01)
        look = await one.look("read", 1.0)
        assert look is not None
        assert look.leads
        await one.publish("read", b"answer", 0.0, 1.0)
        await one.look("another", 1.0)
        one.release("another")
        one.forget()
        assert await one.hold("watch", 1.0) is True
        one.drop("watch")
        assert await one.claim("finish:import/a") is True
        one.put("jobs", "a", b"value", 60.0)
        assert await one.settled()
        assert await other.get("jobs", "a") == b"value"
        assert await other.load("jobs") == {"a": b"value"}
        # One whose time is over goes at once.
        one.put("jobs", "b", b"value", 0.0)
        one.tell("jobs", "a", b"")
        assert await one.settled()
        async with asyncio.timeout(10):
            await heard.wait()
    assert {result for _, result in told.results} == {"ok"}
    assert {name for name, _ in told.results} >= {
        "reserve",
        "look",
        "publish",
        "hold",
        "claim",
        "put",
        "load",
    }


async def test_nobody_else_may(server: Server, tmp_path: Path) -> None:
    """Without the password a client can PING and nothing else; the gateways' user has its own keys only."""
    assert "NOAUTH" in await server.ask("get", "adt-gateway:1:{x}:turns")
    as_probe = ("--user", "probe", "--pass", "any", "--no-auth-warning")
    assert "NOPERM" in await server.ask(*as_probe, "get", "adt-gateway:1:{x}:turns")
    as_gateway = ("--user", "adt-gateway", "--pass", PASSWORD, "--no-auth-warning")
    assert "NOPERM" in await server.ask(*as_gateway, "get", "of-somebody-else")
    assert "NOPERM" in await server.ask(*as_gateway, "flushall")
    assert "NOPERM" in await server.ask(*as_gateway, "publish", "of-somebody-else", "news")
    async with joined(server, tmp_path, "wrong", Told()) as fleet:

        async def said() -> bool:
            return "password is refused" in (fleet.view().away or "")

        assert fleet.away
        await until(said)


async def test_a_server_keeps_claims_through_a_restart(server: Server, tmp_path: Path) -> None:
    """What was claimed before a crash of the server is nobody else's after it."""
    async with joined(server, tmp_path, PASSWORD, Told()) as one:
        assert await one.claim("finish:import/a") is True
    await server.kill()
    await server.start()
    async with joined(server, tmp_path, PASSWORD, Told()) as other:
        assert await other.claim("finish:import/a") is False
