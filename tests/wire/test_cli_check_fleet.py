"""`adt-gateway check --online` and the store of a fleet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.checking import Checked, check
from tests.support.redis_server import RedisServer, free_port, redis_server, sentinel
from tests.support.upstream import fault_upstream

pytestmark = pytest.mark.slow

PASSWORD = "canary-5f9c-canary"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis"), password=PASSWORD) as running:
        yield running


async def checked(url: str) -> Checked:
    """A run with that store, and all else in order."""
    async with fault_upstream(faults.reply(200, b'{"value": [], "nextLink": null}')) as upstream:
        result = await check(upstream.origin, auth={"mode": "none"}, fleet={"url": url, "expected_size": 2})
    # Gateways go on without the store.
    assert result.code == 0
    return result


async def test_a_store_that_lets_it_in(server: RedisServer) -> None:
    """It is said to, without the password, and nothing is left there."""
    result = await checked(server.url)
    assert result.steps["fleet"].outcome == "ok"
    assert result.steps["fleet"].message == f"redis://localhost:{server.port} lets this gateway in"
    assert PASSWORD not in result.text
    assert server.command("DBSIZE") == 0


@pytest.mark.parametrize(
    ("user", "rights", "reason"),
    [
        ("unknown", "", "the user name or password is refused"),
        ("no-script", "~* &* +del +subscribe", "the user has not all rights that are needed"),
        ("no-keys", "~other* &* +eval +del +subscribe", "the user has not all rights that are needed"),
        ("no-channel", "~* &other +eval +del +subscribe", "the user has not all rights that are needed"),
    ],
)
async def test_rights_that_are_missing(server: RedisServer, user: str, rights: str, reason: str) -> None:
    """Whatever of script, keys and channel is not allowed is a warning with what to look at."""
    if rights:
        server.command("ACL", "SETUSER", user, "reset", "on", f">{PASSWORD}", *rights.split())
    result = await checked(f"redis://{user}:{PASSWORD}@localhost:{server.port}")
    assert result.steps["fleet"].outcome == "warning"
    assert reason in result.steps["fleet"].message
    assert "fleet.expected_size" in result.steps["fleet"].advice
    assert PASSWORD not in result.text


async def test_no_store(server: RedisServer) -> None:
    """A port that nobody listens on, and TLS where there is none, are told apart by their advice."""
    nobody = await checked(f"redis://localhost:{free_port()}")
    plain = await checked(f"rediss://:{PASSWORD}@localhost:{server.port}")
    assert nobody.steps["fleet"].outcome == plain.steps["fleet"].outcome == "warning"
    assert nobody.steps["fleet"].advice.endswith(
        ", and whether that port wants TLS, which rediss:// asks for."
    )
    assert plain.steps["fleet"].advice.endswith("a port without TLS wants redis:// in place of rediss://.")
    assert PASSWORD not in plain.text


async def test_a_replica(tmp_path: Path, server: RedisServer) -> None:
    """A server that takes no writes is none for a fleet."""
    link = ("--replicaof", "127.0.0.1", str(server.port), "--masterauth", PASSWORD)
    with redis_server(tmp_path, *link) as replica:
        result = await checked(replica.url)
    assert result.steps["fleet"].message.endswith(" cannot be used: the server is a read-only replica")


async def test_what_sentinels_name(tmp_path: Path) -> None:
    """Where others name the server it is told which one that is."""
    with (
        redis_server(tmp_path, password=PASSWORD) as master,
        sentinel(tmp_path / "sentinel", master, PASSWORD) as watching,
    ):
        result = await checked(f"redis+sentinel://:{PASSWORD}@localhost:{watching.port}/main")
    assert result.steps["fleet"].outcome == "ok"
    assert result.steps["fleet"].details == [f"the server is 127.0.0.1:{master.port}"]


async def test_no_fleet() -> None:
    """Without a URL there is nothing to look at."""
    async with fault_upstream(faults.reply(200, b'{"value": [], "nextLink": null}')) as upstream:
        result = await check(upstream.origin, auth={"mode": "none"})
    assert result.steps["fleet"].outcome == "skipped"
