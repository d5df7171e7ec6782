"""No byte of one caller's exchange reaches another's, every engine."""

import asyncio

import pytest

from tests.support import faults
from tests.support.engines import every_engine, fetch, opened, outbound
from tests.support.upstream import Call, fault_upstream

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
LEFTOVERS = {
    "after a length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + POISON,
    "after the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    + POISON,
    "after a 204": b"HTTP/1.1 204 No Content\r\n\r\n" + POISON,
    "after a 304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n" + POISON,
    "after an empty body": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + POISON,
}


@every_engine
async def test_unread_body_is_dropped_with_its_connection(engine: str) -> None:
    """A response closed before its end: the rest of its body never reaches the next caller."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/long", faults.reply(200, POISON * 10_000))
        for _ in range(5):
            response = await room.round_trip(outbound(b"/long"))
            assert await response.read()
            await response.aclose()
            assert (await fetch(room))[2] == b"hello"


@every_engine
@pytest.mark.parametrize("shape", LEFTOVERS)
async def test_leftover_bytes_never_reach_the_next_call(engine: str, shape: str) -> None:
    """Bytes after the end of one caller's response are never another caller's response."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/poisoned", faults.raw(LEFTOVERS[shape]))
        for _ in range(10):
            assert (await fetch(room, outbound(b"/poisoned")))[2] in (b"ok", b"")
            assert (await fetch(room))[2] == b"hello"


@every_engine
async def test_body_after_a_head_request_never_reaches_the_next_call(engine: str) -> None:
    """A body wrongly sent after HEAD is never another caller's response."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/head", faults.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + POISON))
        for _ in range(10):
            assert (await fetch(room, outbound(b"/head", "HEAD")))[2] == b""
            assert (await fetch(room))[2] == b"hello"


@every_engine
async def test_concurrent_exchanges_are_not_crossed(engine: str) -> None:
    """Fifty at a time, each caller gets the answer to its own request."""

    async def echo(call: Call) -> None:
        await faults.reply(200, await call.body() + call.request.target)(call)

    async with (
        fault_upstream(echo) as upstream,
        opened(engine, upstream.origin, max_connections=50, max_queued=200, timeout={"pool": 30}) as room,
    ):
        sent = [(b"/%d" % number, b"body %d " % number) for number in range(200)]
        got = await asyncio.gather(
            *(fetch(room, outbound(target, "POST", body=body)) for target, body in sent)
        )
        assert [body for _, _, body in got] == [body + target for target, body in sent]
