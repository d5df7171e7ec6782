"""One connection: replies in order, whoever leaves and whatever comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Connection as TcpConnection
from redis.exceptions import ResponseError

from gateway.fleet.wire import LATE, Connection, Lost, Wire

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Lossy:
    """What was told of a connection's end."""

    errors: list[Exception] = field(default_factory=list)


@asynccontextmanager
async def wire_to(speak: Speak, lost: Lossy | None = None, budget: float = 0.1) -> AsyncIterator[Wire]:
    """A wire to a server that speaks like this."""
    tasks = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                await speak(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made: Connection = TcpConnection(
        host="127.0.0.1", port=port, protocol=2, socket_timeout=None, driver_info=None
    )
    await made.connect()
    told = (lost or Lossy()).errors
    wire = Wire(made, timers=asyncio.get_running_loop(), budget=budget, lost=told.append)
    try:
        yield wire
    finally:
        await wire.aclose()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reply to each command with its last word."""
    while line := await reader.readline():
        words = []
        for _ in range(int(line[1:])):
            size = int((await reader.readline())[1:])
            words.append((await reader.readexactly(size + 2))[:-2])
        writer.write(b"$%d\r\n%s\r\n" % (len(words[-1]), words[-1]))


def saying(reply: bytes, *, stay: bool = True) -> Speak:
    """Reply to whatever comes first with this."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(reply)
        if stay:
            await reader.read()

    return speak


async def test_replies_are_in_order() -> None:
    """Many at once each get their own reply, those that went away too."""
    lost = Lossy()
    async with wire_to(echo, lost, budget=5.0) as wire:
        asked = [wire.ask("ECHO", str(number)) for number in range(1_000)]
        for one in asked[::3]:
            one.cancel()
        replies = await asyncio.gather(*asked, return_exceptions=True)
        expected = [b"%d" % number for number in range(1_000)]
        assert [reply for reply in replies if isinstance(reply, bytes)] == [
            reply for number, reply in enumerate(expected) if number % 3
        ]
        assert await wire.ask("ECHO", b"\r\n\x00") == b"\r\n\x00"
    assert [str(error) for error in lost.errors] == ["closed"]


async def test_an_error_is_one_reply() -> None:
    """A reply that tells an error is for the one that asked, and ends nothing."""
    async with wire_to(saying(b"-ERR no\r\n+OK\r\n")) as wire:
        first, second = wire.ask("A"), wire.ask("B")
        with pytest.raises(ResponseError, match="no"):
            await first
        assert await second == b"OK"


async def test_a_late_reply_is_nobody_s() -> None:
    """Where a reply is late all that wait are told, and whoever asks after that at once."""
    lost = Lossy()
    async with wire_to(saying(b""), lost) as wire:
        asked = [wire.ask("A"), wire.ask("B")]
        for one in asked:
            with pytest.raises(Lost, match=LATE):
                await one
        with pytest.raises(Lost, match=LATE):
            await wire.ask("C")
    assert len(lost.errors) == 1


async def test_the_first_that_waits_is_first_in_its_time() -> None:
    """Replies that keep coming do not lengthen the time of one that is owed."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"$1000\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.01)

    async with wire_to(slow) as wire:
        with pytest.raises(Lost, match=LATE):
            await wire.ask("A")


@pytest.mark.parametrize("reply", [b"HTTP/1.1 200 OK\r\n", b"$x\r\n", b"", b"$10\r\nabc", b"*2\r\n+a\r\n"])
async def test_what_is_no_reply(reply: bytes) -> None:
    """Bytes that are none, and a connection that ends within a reply, end the wire for all."""
    lost = Lossy()
    async with wire_to(saying(reply, stay=False), lost) as wire:
        for asked in [wire.ask("A"), wire.ask("B")]:
            with pytest.raises(Lost):
                await asked
    assert len(lost.errors) == 1


async def test_a_reply_that_nobody_asked_for() -> None:
    """More replies than questions: whose they are is no longer known."""
    lost = Lossy()
    async with wire_to(saying(b"+OK\r\n+OK\r\n"), lost) as wire:
        assert await wire.ask("A") == b"OK"
        async with asyncio.timeout(5):
            while not lost.errors:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.005)
        with pytest.raises(Lost):
            await wire.ask("B")
