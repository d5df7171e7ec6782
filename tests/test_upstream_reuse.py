"""A connection of the asyncio engine carries another request only where nothing of the last is to come."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway import failures
from tests.support import faults
from tests.support.engines import Upload, fetch, opened, outbound, read_all
from tests.support.upstream import Call, fault_upstream

FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"


class Broken(Upload):
    """An upload of which ten bytes come, and then, once `breaks` is set, nothing more."""

    def __init__(self) -> None:
        super().__init__(1)
        self.breaks = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * 10
        await self.breaks.wait()
        raise ConnectionAbortedError("the app has left")


async def _answer_and_read_on(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await call.body()


async def _answer_and_stop_reading(call: Call) -> None:
    await call.send(b"HTTP/1.1 429 Many\r\nContent-Length: 2\r\n\r\nno")
    await asyncio.Event().wait()


@pytest.mark.parametrize("length", [[(b"content-length", b"1000")], []], ids=["length", "chunks"])
async def test_no_request_becomes_the_rest_of_a_broken_upload(length: list[tuple[bytes, bytes]]) -> None:
    """Answered early, and broken off in the moment in which the answer is closed: its connection ends."""
    upload = Broken()
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        upstream.on("/early", _answer_and_read_on)
        answer = await room.round_trip(outbound(b"/early", "POST", headers=length, body=upload))
        assert await answer.read() == b"ok"

        async def close() -> None:
            await upload.breaks.wait()
            await answer.aclose()

        async def follow() -> bytes:
            await upload.breaks.wait()
            return (await fetch(room, outbound(b"/next", "POST", body=b"{}")))[2]

        closing, following = asyncio.ensure_future(close()), asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        upload.breaks.set()
        await closing
        assert await following == b"hello"
        assert [seen.path for seen in upstream.requests if seen.path == b"/next"] == [b"/next"]
        assert upstream.connections == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_no_request_waits_behind_a_body_that_is_not_read(*, streamed: bool) -> None:
    """A large body of which the upstream reads nothing, because it has answered, holds nobody up."""
    body = Upload(300) if streamed else b"x" * 20_000_000
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        upstream.on("/refused", _answer_and_stop_reading)
        assert (await fetch(room, outbound(b"/refused", "POST", body=body)))[0] == 429
        assert (await fetch(room))[2] == b"hello"
        assert upstream.connections == 2


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FORGED)),
        ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: %d\r\n\r\n" % len(FORGED)),
        ("GET", b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
async def test_a_body_that_should_not_be_there_answers_nobody(method: str, head: bytes) -> None:
    """An answer without a body that announces one is the last on its connection, whatever comes late."""
    late = asyncio.Event()
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        upstream.on("/late", faults.first(head, faults.gated(late, faults.raw(FORGED))))
        await fetch(room, outbound(b"/late", method))
        late.set()
        assert (await fetch(room))[2] == b"hello"
        assert upstream.connections == 2


BAD = {
    "tab in the target": {"target": b"/a\tb"},
    "feed in the target": {"target": b"/a\x0cb"},
    "two parts in the method": {"method": "GET /x HTTP/1.1"},
    "method that is no token": {"method": "G\u00c9T"},
    "token beyond ASCII": {"authorization": "Bearer \u00e9"},
    "length without a body": {"headers": [(b"content-length", b"5")]},
    "two lengths": {"headers": [(b"content-length", b"0"), (b"content-length", b"0")]},
    "coding without a body": {"headers": [(b"transfer-encoding", b"chunked")]},
    "length of too many digits": {"headers": [(b"content-length", b"0" * 5_000)], "body": b""},
}


@pytest.mark.parametrize("case", BAD)
async def test_what_could_be_read_in_two_ways_is_not_sent(case: str) -> None:
    """The last look at a request, whatever was looked at before: nothing of it goes out."""
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        with pytest.raises(failures.RequestInvalid):
            await fetch(room, outbound(**BAD[case]))  # type: ignore[arg-type]  # each has its own type
        assert upstream.connections == 0


async def test_a_connection_that_is_made_after_the_end_carries_nothing() -> None:
    """A request that was dialling when the engine was closed is not sent, and leaves no connection."""
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        asking = asyncio.ensure_future(room.round_trip(outbound()))
        await asyncio.sleep(0)
        await room.aclose()
        with pytest.raises(failures.UpstreamUnreachable):
            await read_all(await asking)
        await upstream.idle()
        assert not upstream.requests
