"""The end of a response may be written later: in order, once, and before the connection ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
import uvloop

from gateway.config import Limits
from gateway.crowd import bounded_protocol
from gateway.lingering import Lingering
from gateway.server import Server
from tests.support.lingering import lingering_on

MANY = range(9)
GUARD = 10


@dataclass
class Line:
    """A connection of which both ends are at hand."""

    transport: Lingering
    later: list[Lingering]
    client: asyncio.StreamReader

    async def until_end(self) -> bytes:
        return await asyncio.wait_for(self.client.read(), GUARD)


@asynccontextmanager
async def line(under_way: range = MANY) -> AsyncIterator[Line]:
    """A real connection to the transport under test."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Serving(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            made.set_result(transport)

    server = await loop.create_server(Serving, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        inner, later = await asyncio.wait_for(made, GUARD), list[Lingering]()
        yield Line(lingering_on(inner, under_way=under_way, later=later), later, reader)
        inner.abort()
        writer.transport.abort()


async def test_the_end_waits_for_its_turn_where_others_are_under_way() -> None:
    """It is kept, told of once however often something is added, and goes out whole when its turn comes."""
    async with line() as one:
        one.transport.write_last(b"one ")
        one.transport.write_last(b"two")
        assert one.later == [one.transport]
        one.transport.send_kept()
        assert await asyncio.wait_for(one.client.readexactly(7), GUARD) == b"one two"


async def test_nothing_waits_where_nobody_else_is_under_way() -> None:
    """A single request's answer is written at once."""
    async with line(under_way=range(1)) as one:
        one.transport.write_last(b"whole")
        assert one.later == []
        assert await asyncio.wait_for(one.client.readexactly(5), GUARD) == b"whole"


async def test_a_large_end_does_not_wait() -> None:
    """It is not copied to be kept."""
    async with line() as one:
        one.transport.write_last(b"x" * 40_000)
        assert one.later == []
        assert len(await asyncio.wait_for(one.client.readexactly(40_000), GUARD)) == 40_000


async def test_what_is_written_at_once_does_not_overtake() -> None:
    """The next response on the connection follows the one that was kept, whose turn has nothing to send."""
    async with line() as one:
        one.transport.write_last(b"first ")
        one.transport.write(b"second")
        one.transport.send_kept()
        one.transport.close()
        assert await one.until_end() == b"first second"


async def test_a_connection_that_is_closed_has_sent_it() -> None:
    """Nothing of an answer is lost because the connection ends in the same turn, as a drain does."""
    async with line() as one:
        one.transport.write_last(b"the end")
        one.transport.close()
        one.transport.send_kept()
        assert await one.until_end() == b"the end"


async def test_what_is_kept_counts_as_unsent() -> None:
    """So nobody takes the connection for one that has all of its answer, and cuts it for a newcomer."""
    async with line() as one:
        one.transport.write_last(b"kept")
        assert one.transport.get_write_buffer_size() == len(b"kept")
        one.transport.send_kept()
        assert await asyncio.wait_for(one.client.readexactly(4), GUARD) == b"kept"
        assert one.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("end", [Lingering.abort, Lingering.close])
async def test_a_connection_that_is_gone_takes_nothing(end: object) -> None:
    """Its turn may come after its end: nothing is written then, and nothing raised."""
    assert callable(end)
    async with line() as one:
        end(one.transport)
        one.transport.write_last(b"too late")
        one.transport.send_kept()
        assert await one.until_end() == b""


async def never() -> None:
    """A request that stays under way."""
    await asyncio.Event().wait()


async def answer_as_the_client_half_closes() -> bytes:
    """What a client hears that ends its side in the step in which its request is answered, among others."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())

    async def app(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        client.shutdown(socket.SHUT_WR)
        await send({"type": "http.response.body", "body": b"answer"})

    config = uvicorn.Config(app, http=bounded_protocol(Limits(), 9), lifespan="off", log_config=None)
    server = Server(config, handshake=1)
    config.load()
    server.lifespan = config.lifespan_class(config)
    others = {asyncio.create_task(never()) for _ in MANY}
    server.server_state.tasks.update(others)
    await server.startup([listener])
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.setblocking(False)
    heard = b""
    async with asyncio.timeout(GUARD):
        while piece := await asyncio.get_running_loop().sock_recv(client, 4096):
            heard += piece
    client.close()
    for each in others:
        each.cancel()
    await asyncio.wait(others)
    server.server_state.tasks.clear()
    await server.shutdown([listener])
    return heard


def test_an_answer_reaches_a_client_that_ended_its_side_meanwhile() -> None:
    """The connection closes itself for that, in the turn before the one for which the answer is kept."""
    assert uvloop.run(answer_as_the_client_half_closes()).endswith(b"\r\n\r\nanswer")
