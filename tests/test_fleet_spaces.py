"""Entries that gateways keep for each other, and what they tell each other."""

import logging

import pytest

from gateway.fleet.reads import LARGEST
from tests.support.fleets import Clock, Heard, gateway_of, until
from tests.support.redis_server import RedisServer


async def test_entries_are_kept_and_told(server: RedisServer, instance: str) -> None:
    """What one puts the other hears in order, and finds in the store; an entry may be empty."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        heard, own = Heard().on(two, "jobs"), Heard().on(one, "jobs")
        one.put("jobs", "a", b"1", 60.0)
        one.put("jobs", "b", b"1", 60.0)
        one.put("jobs", "a", b"2:3", 60.0)
        one.put("jobs", "b", b"", 60.0)
        assert await one.get("jobs", "a") == b"2:3"
        assert await one.settled()
        await until(lambda: len(heard.news) == 4)
        assert heard.news == [
            ("jobs", "a", b"1"), ("jobs", "b", b"1"), ("jobs", "a", b"2:3"), ("jobs", "b", b""),
        ]  # fmt: skip
        assert await two.load("jobs") == {"a": b"2:3", "b": b""}
        assert await two.get("jobs", "b") == b""
        assert await two.get("jobs", "c") is None
        assert await two.load("nothing") == {}
        assert own.news == []


async def test_the_same_again_is_no_news(server: RedisServer, instance: str) -> None:
    """Who puts all it knows again makes no noise where nothing is new, and lengthens the time."""
    clock = Clock()
    async with (
        gateway_of(server.url, instance, now=clock) as one,
        gateway_of(server.url, instance, now=clock) as two,
    ):
        heard = Heard().on(two, "jobs")
        one.put("jobs", "a", b"1", 60.0)
        clock.pass_by(50)
        one.put("jobs", "a", b"1", 60.0)
        one.put("jobs", "b", b"1", 60.0)
        await until(lambda: len(heard.news) == 2)
        assert [key for _, key, _ in heard.news] == ["a", "b"]
        clock.pass_by(20)
        assert await two.get("jobs", "a") == b"1"


async def test_entries_end(server: RedisServer, instance: str) -> None:
    """An entry whose time is over is not found, and goes with the next that is put."""
    clock = Clock()
    async with gateway_of(server.url, instance, now=clock) as fleet:
        fleet.put("jobs", "short", b"1", 10.0)
        fleet.put("jobs", "long", b"2", 60.0)
        assert await fleet.settled()
        clock.pass_by(10.0)
        assert await fleet.get("jobs", "short") is None
        assert await fleet.load("jobs") == {"long": b"2"}
        fleet.put("jobs", "new", b"3", 60.0)
        assert await fleet.settled()
        assert server.command("HLEN", f"adt-gateway:1:{{{instance}}}:space:jobs") == 2


async def test_many_entries(server: RedisServer, instance: str) -> None:
    """More entries than go at once are written, settle, and are found page by page."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        heard = Heard().on(two, "jobs")
        expected = {f"job {number}": b"%d" % number * 200 for number in range(2_000)}
        for key, value in expected.items():
            one.put("jobs", key, value, 60.0)
        await until(lambda: len(heard.news) == len(expected))
        assert [key for _, key, _ in heard.news] == list(expected)
        assert await two.load("jobs") == expected
        assert await one.settled()
        assert not one.away


async def test_a_large_entry_is_left_out(server: RedisServer, instance: str) -> None:
    """An entry above the bound is not sent."""
    async with gateway_of(server.url, instance) as fleet:
        fleet.put("jobs", "large", b"x" * (LARGEST + 1), 60.0)
        fleet.put("jobs", "small", b"x", 60.0)
        assert await fleet.settled()
        assert await fleet.load("jobs") == {"small": b"x"}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\n\n\n\n",
        b"other\nread\nx\n1\nkey",
        b"other\nread\n1\n-1\nkey",
        b"other\nread\n1\n99\nkey",
        b"other\n\xff\n1\n1\nkey",
        b"other\nread\n1\n" + b"9" * 5_000 + b"\nkey",
        b"\x00" * 100_000,
    ],
)
async def test_news_that_is_none(message: bytes, server: RedisServer, instance: str) -> None:
    """What somebody else writes into the channel is left out, and the next is heard."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        heard = Heard().on(two, "read", "topic")
        server.command("PUBLISH", f"adt-gateway:1:{{{instance}}}:news", message)
        one.tell("topic", "key", b"payload")
        await until(lambda: heard.news)
        assert heard.news == [("topic", "key", b"payload")]


async def test_a_hearer_that_fails(
    server: RedisServer, instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that fails to take in what it hears keeps neither the others nor the next from hearing."""

    def fail(key: str, payload: bytes, age: float) -> None:
        raise ValueError(key)

    async with gateway_of(server.url, instance) as one, gateway_of(server.url, instance) as two:
        two.listen("topic", fail)
        heard = Heard().on(two, "topic")
        one.tell("topic", "first", b"")
        one.tell("topic", "second", b"")
        await until(lambda: len(heard.news) == 2)
        assert not two.away
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 2


async def test_instances_do_not_meet(server: RedisServer, instance: str) -> None:
    """Gateways in front of two instances share a store, and nothing in it."""
    async with gateway_of(server.url, instance) as one, gateway_of(server.url, f"other-{instance}") as two:
        heard = Heard().on(two, "topic")
        assert await one.hold("watch", 5.0) is True
        assert await two.hold("watch", 5.0) is True
        one.tell("topic", "key", b"")
        one.put("jobs", "key", b"", 60.0)
        assert await one.settled()
        assert await two.load("jobs") == {}
        assert heard.news == []
