"""A store that answers what no script of ours does: nothing raises, and nothing goes on for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.fleet.calls import Calls
from gateway.fleet.keys import Keys
from gateway.fleet.once import Once
from gateway.fleet.reads import Reads
from gateway.fleet.reasons import BROKEN, reason_of
from gateway.fleet.spaces import Spaces
from gateway.fleet.turns import Turns
from gateway.fleet.wire import Wire, Word
from tests.support.fleets import Told
from tests.support.virtual_time import in_virtual_time
from tests.test_fleet_wire import Speak, wire_to


def always(reply: bytes) -> Speak:
    """Reply to each command with this."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                await reader.readexactly(size + 2)
            writer.write(reply)

    return speak


@dataclass(slots=True)
class Verbs:
    """All that asks the store and looks at what it says."""

    told: Told
    calls: Calls
    refused: list[str] = field(default_factory=list)

    async def reserve(self) -> Any:
        timers = asyncio.get_running_loop()
        return await Turns(self.calls, KEYS, "me", interval=1.0, burst=1, timers=timers).reserve()

    async def look(self) -> Any:
        return await Reads(self.calls, KEYS, "me", asyncio.get_running_loop()).look("key", 1.0)

    async def publish(self) -> Any:
        return await Reads(self.calls, KEYS, "me", asyncio.get_running_loop()).publish("key", b"x", 0.0, 1.0)

    async def hold(self) -> Any:
        return await Once(self.calls, KEYS, "me", asyncio.get_running_loop()).hold("name", 1.0)

    async def claim(self) -> Any:
        return await Once(self.calls, KEYS, "me", asyncio.get_running_loop()).claim("key")

    async def get(self) -> Any:
        return await Spaces(self.calls, KEYS, "me").get("jobs", "key")

    async def load(self) -> Any:
        return await Spaces(self.calls, KEYS, "me").load("jobs")


KEYS = Keys("adt.example")
VERBS: list[Callable[[Verbs], Awaitable[Any]]] = [
    Verbs.reserve, Verbs.look, Verbs.publish, Verbs.hold, Verbs.claim, Verbs.get, Verbs.load,
]  # fmt: skip
REPLIES = {
    "nothing": b"$-1\r\n",
    "a number": b":7\r\n",
    "a word": b"$1\r\nx\r\n",
    "an empty list": b"*0\r\n",
    "numbers": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "words": b"*3\r\n$1\r\n0\r\n$1\r\ny\r\n$1\r\nz\r\n",
    "an odd page": b"*2\r\n$1\r\n0\r\n$1\r\nk\r\n",
    "lists": b"*3\r\n*0\r\n*0\r\n*0\r\n",
}
FITS = {
    ("nothing", "get"), ("a word", "get"), ("a word", "hold"), ("a number", "reserve"),
    ("a number", "publish"), ("words", "load"),
}  # fmt: skip
"""Replies that are one of the script's."""


@asynccontextmanager
async def verbs_on(reply: bytes) -> AsyncIterator[Verbs]:
    refused: list[str] = []
    async with wire_to(always(reply), budget=5.0) as wire:
        told, timers = Told(), asyncio.get_running_loop()
        calls = Calls(KEYS, timers=timers, told=told, refused=lambda error: refused.append(reason_of(error)))
        calls.wire = wire
        yield Verbs(told, calls, refused)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
@pytest.mark.parametrize("reply", REPLIES)
async def test_a_reply_of_a_wrong_kind(reply: str, verb: Callable[[Verbs], Awaitable[Any]]) -> None:
    """It is taken for a store that cannot be used, and told so once."""
    async with verbs_on(REPLIES[reply]) as verbs:
        found, name = await verb(verbs), verb.__name__
        if (reply, name) in FITS:
            assert verbs.refused == []
            return
        assert found is None
        assert verbs.refused == [BROKEN]
        assert verbs.told.operations == [(name, "error")]


async def test_pages_without_an_end() -> None:
    """A space whose last page never comes is as one that cannot be read."""
    async with verbs_on(b"*3\r\n$1\r\n7\r\n$1\r\nk\r\n$1\r\nv\r\n") as verbs:
        async with asyncio.timeout(20):
            assert await verbs.load() is None
        assert verbs.refused == []


class SlowWire(Wire):
    """Each page comes in time, and there is always one more."""

    def __init__(self) -> None:
        """Nothing is open."""

    def ask(self, *_words: Word) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        loop.call_later(0.05, self._answer, reply)
        return reply

    @staticmethod
    def _answer(reply: "asyncio.Future[Any]") -> None:
        if not reply.done():
            reply.set_result([b"7"])


@in_virtual_time
async def test_pages_that_take_too_long() -> None:
    """A gateway does not wait for more than some seconds for a space, however it comes."""
    loop, refused = asyncio.get_running_loop(), list[Exception]()
    calls = Calls(KEYS, timers=loop, told=Told(), refused=refused.append)
    calls.wire = SlowWire()
    began = loop.time()
    assert await Spaces(calls, KEYS, "me").load("jobs") is None
    assert loop.time() - began <= 6.0
    assert refused == []
