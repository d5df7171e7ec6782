"""Reading in turns: who sends much that is tiny neither holds the loop nor is read for nothing."""

import asyncio

import pytest

from gateway.arrival import Receive, Scope, Send
from gateway.config import Limits
from gateway.crowd import bounded_protocol
from gateway.flow import Flow
from tests.support.asgi_server import served
from tests.support.raw import raw_client

CHUNKS = 40_000
"""As many of one byte as fit into one receive."""


class Wire(asyncio.Transport):
    """A transport that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.closing = False

    def pause_reading(self) -> None:
        """Keep it."""
        self.told.append("pause")

    def resume_reading(self) -> None:
        """Keep it."""
        self.told.append("resume")

    def is_closing(self) -> bool:
        """As set."""
        return self.closing


class Reading:
    """Reads two bytes a turn."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def read(self, data: bytes, at: int) -> int:
        """Keep what is read."""
        self.seen.append(data[at : at + 2])
        return min(at + 2, len(data))


async def turns(many: int = 5) -> None:
    """Let the loop run."""
    for _ in range(many):
        await asyncio.sleep(0)


async def test_what_was_received_is_read_in_turns() -> None:
    """The loop runs in between, and what comes behind it is read behind it."""
    flow, reading = Flow(Wire()), Reading()
    flow.take(b"abcd", reading.read)
    assert (reading.seen, flow.held) == ([b"ab"], True)
    flow.take(b"efg", reading.read)
    assert reading.seen == [b"ab"]
    await turns()
    assert (reading.seen, flow.held) == ([b"ab", b"cd", b"ef", b"g"], False)
    flow.take(b"hi", reading.read)
    assert (reading.seen[-1], flow.held) == (b"hi", False)


async def test_nothing_more_is_received_before_it_is_read() -> None:
    """Whoever resumes, and whoever pauses, until the last turn: what waits to be read cannot grow."""
    wire, reading = Wire(), Reading()
    flow = Flow(wire)
    flow.take(b"ab", reading.read)
    assert wire.told == []
    flow.take(b"abcd", reading.read)
    flow.resume_reading()
    flow.pause_reading()
    flow.resume_reading()
    assert wire.told == ["pause"]
    await turns()
    assert wire.told == ["pause", "resume"]


async def test_who_pauses_meanwhile_is_obeyed_afterwards() -> None:
    """The end of the turns does not receive for an app that is not ready."""
    wire = Wire()
    flow = Flow(wire)
    flow.take(b"abcd", Reading().read)
    flow.pause_reading()
    await turns()
    assert (wire.told, flow.read_paused) == (["pause"], True)
    flow.resume_reading()
    assert wire.told == ["pause", "resume"]


@pytest.mark.parametrize("closing", [False, True])
async def test_what_nobody_wants_is_not_read(*, closing: bool) -> None:
    """After a refusal the rest is dropped; a connection that ends is not asked for more."""
    wire, reading = Wire(), Reading()
    flow = Flow(wire)
    flow.take(b"abcd", reading.read)
    wire.closing = closing
    flow.forget()
    await turns()
    assert (reading.seen, flow.held) == ([b"ab"], False)
    assert wire.told == ["pause", *([] if closing else ["resume"])]


async def test_many_small_chunks_arrive_and_hold_nobody_up() -> None:
    """All of the body is there in the end, and the loop has run hundreds of times by then."""
    passed = 0
    body = bytearray()

    async def passing() -> None:
        nonlocal passed
        while True:
            passed += 1
            await asyncio.sleep(0)

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        other = asyncio.create_task(passing())
        more = True
        while more:
            message = await receive()
            body.extend(message["body"])
            more = message["more_body"]
        other.cancel()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    head = b"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with (
        served(app, http=bounded_protocol(Limits(), 5)) as port,
        raw_client("127.0.0.1", port) as client,
    ):
        await client.send(head + b"1\r\na\r\n" * CHUNKS + b"0\r\n\r\n")
        assert (await client.response()).status == 204
        await client.send(head + b"0\r\n\r\n")
        assert (await client.response()).status == 204
    assert bytes(body) == b"a" * CHUNKS
    assert passed > CHUNKS / 100
