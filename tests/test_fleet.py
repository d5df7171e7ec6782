"""The room as a whole: what it is for others, and what it tells."""

import inspect
import uuid
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from gateway.config import parse_origin
from gateway.fleet import OPERATION_BUDGET, Fleet
from gateway.fleet.keys import Keys
from gateway.job_requests.fleet import instance_of
from gateway.jobs.fleet_ledger import LASTS
from gateway.jobs.peers import Peers
from tests.support.fleets import Told, gateway_of
from tests.support.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def instance() -> str:
    return f"{uuid.uuid4().hex}.example"


def test_it_has_what_the_jobs_room_asks_for() -> None:
    """Every verb of the protocol is there with the same parameters (mypy judges their types)."""
    for name, verb in inspect.getmembers(Peers, inspect.isfunction):
        if not name.startswith("_"):
            assert list(inspect.signature(verb).parameters) == list(
                inspect.signature(getattr(Fleet, name)).parameters
            )


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://adt.example", "adt.example"),
        ("https://adt.example:443/", "adt.example"),
        ("http://127.0.0.1:8443", "127.0.0.1:8443"),
        ("http://127.0.0.1:8444", "127.0.0.1:8444"),
        ("http://adt.example", "adt.example:80"),
        ("http://[::1]:8443", "::1:8443"),
    ],
)
def test_an_instance_is_a_host_and_a_port(url: str, name: str) -> None:
    """Two instances behind proxies of one host do not meet, and each has all its keys in one slot."""
    assert instance_of(parse_origin(url)) == name
    keys = Keys(name)
    slots = {key_slot(key.encode()) for key in (keys.channel, keys("life"), keys.of("done", "x"))}
    assert slots == {key_slot(name.encode())}


async def test_what_must_outlast_a_job_does(server: RedisServer, instance: str) -> None:
    """Claims, and the life of the data they are in, are kept for as long as jobs are."""
    async with gateway_of(server.url, instance) as fleet:
        assert await fleet.claim("job")
        for name in (Keys(instance)("life"), Keys(instance).of("done", "job")):
            assert LASTS - 60 < server.command("PTTL", name) / 1000 <= LASTS


async def test_one_round_trip_each(server: RedisServer, instance: str) -> None:
    """Each verb is one command to the store, and told as one operation."""
    told = Told()
    async with gateway_of(server.url, instance, told=told) as fleet:
        peers: Peers = fleet
        assert peers.expected_size == 2
        assert OPERATION_BUDGET == 0.1
        await peers.hold("warm", 1.0)
        told.operations.clear()
        before = commands(server)
        await peers.reserve()
        await peers.look("key", 5.0)
        await peers.publish("key", b"answer", 0.0, 1.0)
        await peers.hold("watch", 5.0)
        await peers.claim("job")
        peers.put("jobs", "key", b"value", 60.0)
        await peers.settled()
        assert commands(server) - before == 6
        assert told.operations == [
            (verb, "ok") for verb in ("reserve", "look", "publish", "hold", "claim", "put")
        ]
        assert told.ups == [True]


def commands(server: RedisServer) -> int:
    """Scripts that were called so far."""
    return int(server.command("INFO", "commandstats")["cmdstat_evalsha"]["calls"])
