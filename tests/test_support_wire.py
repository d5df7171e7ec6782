"""The wire support itself: the raw client sees what the recording upstream did, and the other way round."""

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest
import trustme

from tests.support import faults
from tests.support.raw import raw_client
from tests.support.upstream import GUARD, Call, fault_upstream

REQUEST = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Odd-CASE:  v \r\nx-odd-case: w\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


async def test_request_is_recorded_byte_for_byte() -> None:
    """Head bytes, spelling, order and duplicates are kept, however the request was cut into pieces."""
    async with fault_upstream() as upstream, raw_client(port=upstream.port) as client:
        await client.send(REQUEST[:10], REQUEST[10:30], REQUEST[30:])
        response = await client.response()
        assert (response.status, response.body, response.complete) == (200, b"hello", True)
        assert upstream.last.head == REQUEST
        assert (upstream.last.method, upstream.last.target) == (b"GET", b"/a?b")
        assert upstream.last.headers == [(b"Host", b"x"), (b"X-Odd-CASE", b"v"), (b"x-odd-case", b"w")]
        assert upstream.last.values(b"x-odd-case") == [b"v", b"w"]


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\n",
    ],
)
async def test_bodies_are_recorded(framed: bytes) -> None:
    """A body is read by its framing, and what follows it is the next request."""
    async with fault_upstream() as upstream, raw_client(port=upstream.port) as client:
        await client.send((b"POST / HTTP/1.1\r\nHost: x\r\n" + framed) * 2)
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
        assert [(seen.body, seen.complete) for seen in upstream.requests] == [(b"hello", True)] * 2
        assert upstream.last.sha256 == hashlib.sha256(b"hello").hexdigest()
        assert upstream.connections == 1


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 0),
        (b"HTTP/1.1 20", 0),
        (OK + b"Content-Length: 9\r\n\r\nhel", 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", 200),
    ],
)
async def test_cut_responses_are_not_complete(sent: bytes, status: int, *, reset: bool) -> None:
    """The raw client tells a cut response from a whole one, whichever way the connection ended."""
    async with (
        fault_upstream(faults.cut(sent, reset=reset)) as upstream,
        raw_client(port=upstream.port) as client,
    ):
        await client.send(REQUEST)
        response = await client.response()
        assert not response.complete
        assert response.status in {0, status}
        assert await client.closed()


async def test_interim_responses_stand_apart() -> None:
    """Interim heads are listed beside the final response."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    async with fault_upstream() as upstream, raw_client(port=upstream.port) as client:
        upstream.default = faults.first(interim, faults.reply(201, headers=[(b"X-A", b"1")]))
        await client.send(REQUEST)
        response = await client.response()
        assert (response.interim, response.status, response.value(b"x-a")) == ([interim], 201, b"1")


async def test_head_and_close_framed_responses_are_complete() -> None:
    """An answer to HEAD ends with its head, one without framing with its connection."""
    async with fault_upstream() as upstream, raw_client(port=upstream.port) as client:
        upstream.on("/", faults.reply(200, b"hello"), faults.cut(OK + b"\r\nrest"))
        await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        response = await client.response("HEAD")
        assert (response.value(b"content-length"), response.body, response.complete) == (b"5", b"", True)
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        response = await client.response()
        assert (response.body, response.complete) == (b"rest", True)


async def test_scripts_follow_in_turn_and_gates_hold() -> None:
    """Behaviours of a path follow one another, the last stays; a gate holds an answer until it opens."""
    gate = asyncio.Event()
    async with fault_upstream() as upstream, raw_client(port=upstream.port) as client:
        upstream.on("/a", faults.reply(500), faults.gated(gate, faults.reply(204)))
        await client.send(REQUEST)
        assert (await client.response()).status == 500
        await client.send(REQUEST)
        await upstream.received(2)
        gate.set()
        assert (await client.response()).status == 204


async def test_client_that_leaves_is_noticed() -> None:
    """A behaviour can wait for the client to go, and the body it was sending is known as incomplete."""
    gone = asyncio.Event()

    async def watch(call: Call) -> None:
        await call.gone()
        gone.set()

    async with fault_upstream() as upstream:
        upstream.on("/watched", watch)
        async with raw_client(port=upstream.port) as client:
            await client.send(b"GET /watched HTTP/1.1\r\n\r\n")
            await upstream.received(1)
        async with asyncio.timeout(GUARD):
            await gone.wait()
        async with raw_client(port=upstream.port) as client:
            await client.send(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhel")
            await upstream.received(2)
        await upstream.idle()
        assert (upstream.last.body, upstream.last.complete) == (b"hel", False)


async def test_broken_script_fails_the_test() -> None:
    """A mistake in a behaviour is not taken for a fault of the code under test."""

    async def broken(call: Call) -> None:
        raise LookupError(call.request.path)

    async def visit() -> None:
        async with fault_upstream(broken) as upstream, raw_client(port=upstream.port) as client:
            await client.send(REQUEST)
            assert await client.until_close() == b""

    with pytest.raises(ExceptionGroup):
        await visit()


async def test_tls_and_unix_sockets(tmp_path: Path) -> None:
    """The upstream speaks TLS with a CA of the test's, the raw client TLS and Unix sockets."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        fault_upstream(tls=authority) as upstream,
        raw_client(port=upstream.port, tls=trusting) as client,
    ):
        await client.send(REQUEST)
        assert (await client.response()).body == b"hello"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_unix_server(answer, tmp_path / "socket"),
        raw_client(unix_socket=tmp_path / "socket") as client,
    ):
        await client.send(REQUEST)
        assert (await client.response()).body == b"hi"
