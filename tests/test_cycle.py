"""A response as it is written: its bytes for each framing, and no application error that reaches the wire."""

import asyncio
from typing import Any

import pytest

from gateway.cycle import SENT, Application, Cycle
from gateway.exchange import RawHeaders
from gateway.flow import Flow

Messages = list[dict[str, Any]]


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.writes = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        self.writes += 1

    def write_last(self, data: bytes) -> None:
        self.write(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


class Sent:
    """What came of a response's messages."""

    def __init__(self, method: str = "GET", *, keep_alive: bool = True) -> None:
        self.wire = Wire()
        self.ended = 0
        scope: Any = {"type": "http", "method": method}
        self.cycle = Cycle(
            scope,
            self.wire,
            Flow(self.wire),
            expects_continue=False,
            keep_alive=keep_alive,
            more_body=True,
            on_response=self._end,
        )

    def _end(self) -> None:
        self.ended += 1

    async def run(self, app: Application) -> None:
        """Have the application answer."""
        tasks = set[asyncio.Task[None]]()
        self.cycle.task = asyncio.ensure_future(self.cycle.run(app, tasks))
        tasks.add(self.cycle.task)
        await self.cycle.task
        assert not tasks, "who waits for the last request does not wait for one that is over"

    async def send(self, status: int, headers: RawHeaders, *pieces: bytes, more: bool = False) -> "Sent":
        """A head, and pieces of a body; the last one ends it unless there is `more`."""
        await self.cycle.send({"type": "http.response.start", "status": status, "headers": headers})
        for number, piece in enumerate(pieces, start=1):
            await self.cycle.send(
                {"type": "http.response.body", "body": piece, "more_body": more or number < len(pieces)}
            )
        return self


async def test_a_length() -> None:
    """A body of an announced length goes out as it is, head and pieces in their order."""
    sent = await Sent().send(200, [(b"content-length", b"5"), (b"etag", b'"x"')], b"he", b"llo")
    head = b'HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: "x"\r\n\r\n'
    assert (sent.wire.sent, sent.ended, sent.wire.closed) == (head + b"hello", 1, False)


async def test_chunks() -> None:
    """Without a length each piece is a chunk, an empty one is none, and the last chunk ends the body."""
    sent = await Sent().send(200, [], b"x" * 16, b"", b"y")
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert sent.wire.sent == head + b"10\r\n" + b"x" * 16 + b"\r\n1\r\ny\r\n0\r\n\r\n"
    assert (
        await Sent().send(200, [(b"transfer-encoding", b"chunked")], b"")
    ).wire.sent == head + b"0\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_no_body(method: str, status: int) -> None:
    """Where there can be no body none is announced, and none is sent."""
    sent = await Sent(method).send(status, [], b"")
    assert sent.wire.sent.startswith(b"HTTP/1.1 %d " % status)
    assert sent.wire.sent.endswith(b"\r\n\r\n")
    assert sent.ended == 1


async def test_head_keeps_the_length_of_what_it_stands_for() -> None:
    """An answer to HEAD announces a length, and ends without a byte of it."""
    sent = await Sent("HEAD").send(200, [(b"content-length", b"5")], b"")
    assert sent.wire.sent.endswith(b"content-length: 5\r\n\r\n")
    assert sent.ended == 1


@pytest.mark.parametrize(
    ("keep_alive", "headers", "told"),
    [
        (True, [], []),
        (False, [], [b"connection: close"]),
        (True, [(b"connection", b"close")], [b"connection: close"]),
        (False, [(b"connection", b"close")], [b"connection: close"]),
    ],
)
async def test_the_end_of_a_connection_is_told_once(
    keep_alive: bool, headers: RawHeaders, told: list[bytes]
) -> None:
    """Whoever decided it, the server or the application; then it is closed."""
    sent = await Sent(keep_alive=keep_alive).send(204, headers, b"")
    assert [line for line in sent.wire.sent.split(b"\r\n") if line.startswith(b"connection")] == told
    assert sent.wire.closed is bool(told)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
async def test_a_header_stays_in_its_line(value: bytes) -> None:
    """A value with a line break is an error of ours: nothing is written."""
    sent = Sent()
    with pytest.raises(RuntimeError, match="line break"):
        await sent.send(200, [(b"x", value)])
    assert sent.wire.sent == b""


def start(**more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")], **more}


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


@pytest.mark.parametrize(
    "messages",
    [
        [piece(b"x")],
        [start(), start()],
        [start(), piece(b"xy")],
        [start(), piece(b"")],
        [start(), piece(b"x"), piece(b"")],
        [{"type": "http.response.trailers"}],
    ],
    ids=["no head", "two heads", "too long", "too short", "behind the end", "something else"],
)
async def test_what_no_application_may_send(messages: Messages) -> None:
    """It is told so, as uvicorn does."""
    sent = Sent()
    *before, wrong = messages
    for message in before:
        await sent.cycle.send(message)
    with pytest.raises(RuntimeError):
        await sent.cycle.send(wrong)


async def test_nothing_is_written_to_who_has_left() -> None:
    """Once the client is gone, messages are taken and dropped."""
    sent = Sent()
    sent.cycle.disconnected = True
    await sent.send(200, [], b"x")
    assert sent.wire.sent == b""


@pytest.mark.parametrize("length", [[], [(b"content-length", b"3")]], ids=["chunks", "a length"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_head_with_a_piece_beside_it(method: str, length: RawHeaders) -> None:
    """They are one write, of the same bytes as two messages; more of the body may follow."""
    apart, together = Sent(method), Sent(method)
    await apart.send(200, length, b"ab", b"c")
    head = {"type": "http.response.start", "status": 200, "headers": length}
    await together.cycle.send({**head, "body": b"ab", "more_body": True})
    assert together.wire.writes == 1
    await together.cycle.send(piece(b"c"))
    assert (together.wire.sent, together.ended) == (apart.wire.sent, 1)


@pytest.mark.parametrize(("size", "writes"), [(16_384, 1), (16_385, 2)])
async def test_a_large_piece_is_not_copied(size: int, writes: int) -> None:
    """It is a write of its own, behind the head."""
    sent = Sent()
    head = start(headers=[(b"content-length", b"%d" % size)])
    await sent.cycle.send({**head, "body": b"x" * size, "more_body": False})
    assert sent.wire.sent.endswith(b"\r\n\r\n" + b"x" * size)
    assert (sent.wire.writes, sent.ended) == (writes, 1)


async def test_what_is_written_at_once_need_not_be_awaited() -> None:
    """The message is out when `send` returns, and it says so."""
    sent = Sent()
    assert sent.cycle.send(start()) is SENT
    assert sent.wire.sent.endswith(b"content-length: 1\r\n\r\n")
    assert await sent.cycle.send(piece(b"x")) is None  # type: ignore[func-returns-value]
    assert sent.ended == 1


async def test_a_full_connection_is_waited_for() -> None:
    """A message is written once the transport takes more."""
    sent = Sent()
    sent.cycle.flow.pause_writing()
    sending = asyncio.ensure_future(sent.send(204, [], b""))
    await asyncio.sleep(0)
    assert (sent.wire.sent, sending.done()) == (b"", False)
    sent.cycle.flow.resume_writing()
    await sending
    assert sent.ended == 1


async def test_a_body_comes_in_what_has_come() -> None:
    """Whoever waits gets a piece as soon as it is there; what comes meanwhile is handed over together."""
    cycle = Sent("PUT").cycle
    waiting = asyncio.ensure_future(cycle.receive())
    await asyncio.sleep(0)
    assert not waiting.done()
    cycle.take(b"a")
    assert await waiting == {"type": "http.request", "body": b"a", "more_body": True}
    cycle.take(b"b")
    cycle.take(b"c")
    cycle.more_body = False
    cycle.tell()
    assert await cycle.receive() == {"type": "http.request", "body": b"bc", "more_body": False}


async def test_all_who_wait_are_told() -> None:
    """The end of the response is the end for everybody who waits for the client."""
    sent = Sent()
    waiting = [asyncio.ensure_future(sent.cycle.receive()) for _ in range(2)]
    await asyncio.sleep(0)
    await sent.send(204, [], b"")
    assert await asyncio.gather(*waiting) == [{"type": "http.disconnect"}] * 2


async def test_the_rest_is_asked_for_once() -> None:
    """An app that waits for it is told to go on as soon as somebody wants its body."""
    sent = Sent("PUT")
    sent.cycle.waiting_for_100_continue = True
    sent.cycle.take(b"a")
    await sent.cycle.receive()
    sent.cycle.take(b"b")
    await sent.cycle.receive()
    assert sent.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_nothing_is_asked_for_behind_the_head() -> None:
    """Inside a response an interim one would be taken for its body (RFC 9110, section 15.2)."""
    sent = Sent("PUT")
    sent.cycle.waiting_for_100_continue = True
    await sent.cycle.send(start())
    head = sent.wire.sent
    sent.cycle.take(b"a")
    await sent.cycle.receive()
    assert sent.wire.sent == head


@pytest.mark.parametrize(
    "error", [None, ValueError(), asyncio.CancelledError()], ids=["end", "bug", "cancel"]
)
async def test_an_application_that_does_not_answer(error: BaseException | None) -> None:
    """Whatever the reason, the app gets 500 and the end of the connection."""
    sent = Sent()

    async def nothing(*_: object) -> None:
        if error is not None:
            raise error

    await sent.run(nothing)
    assert sent.wire.sent.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert sent.wire.closed


@pytest.mark.parametrize(
    "error", [None, ValueError(), asyncio.CancelledError()], ids=["end", "bug", "cancel"]
)
async def test_an_application_that_does_not_end_its_answer(error: BaseException | None) -> None:
    """What was begun is cut: nothing more is written, and the connection ends."""
    sent = Sent()

    async def half(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        if error is not None:
            raise error

    await sent.run(half)
    assert sent.wire.sent.endswith(b"content-length: 5\r\n\r\n")
    assert (sent.wire.closed, sent.ended) == (True, 0)
