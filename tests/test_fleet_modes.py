"""Sentinels that name another server, and a Cluster whose slots move."""

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.crc import key_slot

from tests.support.fleets import GUARD, Heard, gateway_of, until
from tests.support.programs import require_program
from tests.support.redis_server import INSTALL, RedisServer, free_port, redis_server, sentinel

pytestmark = pytest.mark.slow

PASSWORD = "s5f9c"


def says(server: RedisServer, *words: str) -> Callable[[], bool]:
    """Whether the last of the words is in the server's answer to the others."""
    *command, expected = words
    return lambda: expected in str(server.command(*command))


async def test_sentinel_failover(tmp_path: Path, instance: str) -> None:
    """The server is killed, a Sentinel makes its replica the master: the fleet goes on there."""
    auth = ("--masterauth", PASSWORD)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with ExitStack() as stack:
        master = stack.enter_context(redis_server(tmp_path / "one", *auth, password=PASSWORD))
        link = ("--replicaof", "127.0.0.1", str(master.port))
        replica = stack.enter_context(redis_server(tmp_path / "two", *auth, *link, password=PASSWORD))
        await until(says(replica, "INFO", "replication", "'master_link_status': 'up'"))
        watching = stack.enter_context(sentinel(tmp_path / "sentinel", master, PASSWORD))
        await until(says(watching, "SENTINEL", "REPLICAS", "main", str(replica.port)))
        url = f"redis+sentinel://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{watching.port}/main"
        async with gateway_of(url, instance) as one, gateway_of(url, instance) as two:
            heard = Heard().on(two, "jobs")
            assert one.view().mode == "sentinel"
            assert PASSWORD not in repr(one.view())
            assert await one.claim("job") is True
            assert await one.hold("watch", 60.0) is True
            await until(says(replica, "KEYS", "*", "lock:"))
            master.kill()
            one.put("jobs", "key", b"value", 60.0)
            await until(lambda: one.away and two.away)
            await until(lambda: not one.away and not two.away)
            assert await two.claim("job") is False
            assert await two.hold("watch", 60.0) is False
            # Who comes back last has not heard what the other told before, and finds it.
            async with asyncio.timeout(GUARD):
                while await two.load("jobs") != {"key": b"value"}:  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.005)
            one.put("jobs", "other", b"next", 60.0)
            await until(lambda: ("jobs", "other", b"next") in heard.news)
            assert f":{replica.port}" not in one.view().store


async def test_sentinel_that_knows_nothing(tmp_path: Path, instance: str) -> None:
    """A service that no Sentinel knows is told as such."""
    with redis_server(tmp_path) as master, sentinel(tmp_path / "sentinel", master, PASSWORD) as watching:
        async with gateway_of(f"redis+sentinel://127.0.0.1:{watching.port}/other", instance) as fleet:
            assert fleet.view().away == "no Sentinel knows the service"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Sequence[RedisServer]]:
    """A Cluster of three."""
    cli = require_program("redis-cli", INSTALL)
    with ExitStack() as stack:
        running = []
        for number in range(3):
            folder = tmp_path / f"node {number}"
            folder.mkdir()
            options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            running.append(stack.enter_context(redis_server(folder, *options)))
        addresses = [f"127.0.0.1:{node.port}" for node in running]
        create = [cli, "--cluster", "create", *addresses, "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=60)  # noqa: S603 - nothing from outside
        yield running


async def test_cluster_slot_that_moves(nodes: Sequence[RedisServer], instance: str) -> None:
    """All keys are on one node; when their slot moves, the fleet goes on at the other with all it had."""
    for node in nodes:
        await until(says(node, "CLUSTER", "INFO", "cluster_state:ok"))
    seeds = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    url = f"redis+cluster://127.0.0.1:1,{seeds}"
    slot = key_slot(f"{{{instance}}}".encode())
    async with gateway_of(url, instance) as one, gateway_of(url, instance) as two:
        heard = Heard().on(two, "topic")
        assert one.view().mode == "cluster"
        assert await one.reserve() == 1.02
        assert await one.claim("job") is True
        look = await one.look("key", 60.0)
        assert look is not None
        assert look.leads
        one.tell("topic", "key", b"payload")
        await until(lambda: heard.news)
        (source,) = (node for node in nodes if node.command("CLUSTER", "COUNTKEYSINSLOT", slot))
        target = next(node for node in nodes if node is not source)
        move(slot, source, target, nodes)
        await until(lambda: one.away)
        await until(lambda: not one.away and not two.away)
        assert await two.claim("job") is False
        assert await two.reserve() is not None
        one.tell("topic", "key", b"again")
        await until(lambda: len(heard.news) == 2)
        assert instance not in str(source.key_names())


def move(slot: int, source: RedisServer, target: RedisServer, nodes: Sequence[RedisServer]) -> None:
    """Move a slot with its keys from one node to another."""
    ids = {node: node.command("CLUSTER", "MYID").decode() for node in (source, target)}
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    for key in source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
        source.command("MIGRATE", "127.0.0.1", target.port, key, 0, 1_000)
    for node in (target, source, *(node for node in nodes if node not in (source, target))):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
