"""The server under the data listener: nobody who has connected is cut off by its end."""

import asyncio
import socket

import pytest
import uvicorn

from gateway.arrival import Receive, Scope, Send
from gateway.config import Limits
from gateway.crowd import bounded_protocol
from gateway.server import Server
from tests.support.raw import GUARD

CALLERS = 20
ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def empty(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def answer(loop: asyncio.AbstractEventLoop, caller: socket.socket) -> bytes:
    """What comes on a connection until its end."""
    caller.setblocking(False)
    got = b""
    while piece := await loop.sock_recv(caller, 4096):
        got += piece
    return got


async def _told_to_end(server: Server) -> None:
    """Wait until every caller was taken in, and then told that the server ends."""
    async with asyncio.timeout(GUARD):
        while len(server.server_state.connections) < CALLERS:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("asks_late", [False, True])
async def test_who_has_connected_when_it_ends_is_answered(*, asks_late: bool) -> None:
    """Connections that only the kernel has taken when the listener closes are served, not reset.

    Nothing of the loop runs between the server being told to leave and the connects, so it accepts none of
    them before it closes; those that ask late have their head on the way only then.
    """
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=CALLERS)
    address = listener.getsockname()
    protocol = bounded_protocol(Limits(), CALLERS)
    server = Server(uvicorn.Config(empty, http=protocol, lifespan="off", log_config=None), handshake=1)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    server.leave()
    callers = [socket.create_connection(address) for _ in range(CALLERS)]
    if asks_late:
        await _told_to_end(server)
    for caller in callers:
        caller.send(ASKED)
    async with asyncio.timeout(GUARD):
        answers = await asyncio.gather(*(answer(loop, caller) for caller in callers))
        await serving
    for caller in callers:
        caller.close()
    assert [got[:12] for got in answers] == [b"HTTP/1.1 204"] * CALLERS


async def test_after_its_end_nobody_connects() -> None:
    """A server that was told to leave, and has, listens no longer."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    protocol = bounded_protocol(Limits(), CALLERS)
    server = Server(uvicorn.Config(empty, http=protocol, lifespan="off", log_config=None), handshake=1)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    server.leave()
    async with asyncio.timeout(GUARD):
        await serving
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
