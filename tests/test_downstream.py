"""A response as it is relayed: the same bytes whether an app takes them at once or makes each wait."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.arrival import CONNECTION, Connection
from gateway.bodies import Readable
from gateway.config import Limits
from gateway.cycle import Cycle
from gateway.downstream import Downstream
from gateway.exchange import Exchange, Peer, RawHeaders
from gateway.flow import Flow
from tests.test_bodies import Source
from tests.test_cycle import Wire

PIECES = st.lists(st.binary(max_size=8), max_size=6)
STATUSES = st.sampled_from([200, 204, 304, 404])


class App:
    """One exchange with an app that takes what is sent at once, or only when it is waited for."""

    def __init__(
        self, method: str = "GET", version: str = "1.1", *, slow: bool = False, patience: float = 60.0
    ) -> None:
        self.wire = Wire()
        self.ended = 0
        self.aborted = False
        self.connection = Connection(self._abort, Peer())
        scope: Any = {"type": "http", "method": method, CONNECTION: self.connection}
        self.flow = Flow(self.wire)
        self.slow = slow
        self.cycle = Cycle(
            scope,
            self.wire,
            self.flow,
            expects_continue=False,
            keep_alive=version == "1.1",
            more_body=True,
            on_response=self._end,
        )
        self.exchange = Exchange(method, b"/", b"", [], http_version=version)
        receive: Any = self.cycle.receive
        self.downstream = Downstream(scope, receive, self._send, self.exchange, Limits(slow_reader=patience))

    def _end(self) -> None:
        self.ended += 1

    def _abort(self) -> None:
        self.aborted = True

    def _send(self, message: Any) -> Any:
        if self.slow:
            self.flow.pause_writing()
            asyncio.get_running_loop().call_soon(self.flow.resume_writing)
        return self.cycle.send(message)

    async def relay(self, status: int, body: Readable, length: int | None) -> bytes:
        """What is written of a response."""
        headers: RawHeaders = [] if length is None else [(b"content-length", b"%d" % length)]
        await self.downstream.relay(status, headers, body, length)
        return self.wire.sent

    def relaying(self, body: Readable) -> "asyncio.Task[None]":
        """The exchange under way, which relays a body without a length."""
        task = self.connection.task = asyncio.ensure_future(self.downstream.relay(200, [], body, None))
        return task


@given(
    PIECES, st.booleans(), STATUSES, st.sampled_from(["GET", "HEAD", "POST"]), st.sampled_from(["1.0", "1.1"])
)
async def test_a_slow_app_gets_the_same_bytes(
    pieces: list[bytes], announced: bool, status: int, method: str, version: str
) -> None:
    """Head, framing, pieces and end, once each; the body ends at its length where one is announced."""
    data = b"".join(pieces)
    length = len(data) if announced else None
    quick, slow = App(method, version), App(method, version, slow=True)
    written = await quick.relay(status, Source(pieces), length)
    assert await slow.relay(status, Source(pieces), length) == written
    assert quick.ended == slow.ended == 1
    head, _, body = written.partition(b"\r\n\r\n")
    silent = method == "HEAD" or status in {204, 304}
    if silent:
        assert (body, quick.exchange.bytes_out) == (b"", 0)
        return
    assert quick.exchange.bytes_out == slow.exchange.bytes_out == len(data)
    if announced or version == "1.0":
        assert b"content-length: %d" % len(data) in head
        assert body == data
    else:
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece]
        assert body == b"".join(chunks) + b"0\r\n\r\n"


async def test_only_waiting_counts_as_the_apps_time() -> None:
    """What is taken at once costs the app nothing; what waits for it does."""
    quick, slow = App(), App(slow=True)
    await quick.relay(200, Source([b"x"]), 1)
    await slow.relay(200, Source([b"x"]), 1)
    assert quick.exchange.app_wait == 0.0
    assert slow.exchange.app_wait > 0.0


async def test_the_end_is_not_asked_for_behind_an_announced_length() -> None:
    """The last byte is the end: nothing is read behind it."""
    source = Source([b"ab", b"c"])
    await App().relay(200, source, 3)
    assert source.reads == 2


async def test_a_piece_that_is_at_hand_goes_with_the_head() -> None:
    """One write; the pieces behind it are written as they come."""
    app = App()
    assert (await app.relay(200, Source([b"ab"]), 2)).endswith(b"\r\n\r\nab")
    assert app.wire.writes == 1
    app = App()
    await app.relay(200, Source([b"ab", b"c"]), 3)
    assert app.wire.writes == 2


class Broken:
    """A body that breaks off at once."""

    async def read(self) -> bytes | None:
        """Break off."""
        raise failures.UpstreamConnectionLost("gone")


async def test_a_body_that_breaks_off_at_once() -> None:
    """The head is out all the same: a response that is cut looks like one, however soon it breaks."""
    app = App()
    with pytest.raises(failures.UpstreamConnectionLost):
        await app.relay(200, Broken(), 2)
    assert app.wire.sent.endswith(b"content-length: 2\r\n\r\n")
    assert app.downstream.response_started


async def test_nothing_is_read_for_who_has_left() -> None:
    """The client of a GET is gone before its response: neither a head nor a piece is asked for."""
    app, source = App(), Source([b"x"])
    app.exchange.client_left = True
    with pytest.raises(failures.ClientLeft):
        await app.relay(200, source, 1)
    assert (app.wire.sent, source.reads) == (b"", 0)


async def test_an_app_that_takes_nothing_is_cut_off() -> None:
    """After `limits.slow_reader` the connection is broken, whatever is buffered."""
    app = App(patience=0.001)
    app.flow.pause_writing()
    with pytest.raises(failures.ResponseCut):
        await app.relay(200, Source([b"x"]), 1)
    assert app.aborted
    assert app.wire.sent == b""


class Endless:
    """A body of which nothing comes; it says when it is waited for."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def read(self) -> bytes | None:
        """Wait."""
        self.asked.set()
        await asyncio.Event().wait()
        return None


async def test_a_read_is_given_up_with_the_app() -> None:
    """The client of a GET leaves while the body is waited for: ClientLeft, and no cancellation is left."""
    app, body = App(), Endless()
    relaying = app.relaying(body)
    await body.asked.wait()
    assert app.wire.sent.startswith(b"HTTP/1.1 200 OK"), "the head does not wait for the body"
    assert app.connection.on_lost is not None
    app.connection.on_lost()
    with pytest.raises(failures.ClientLeft):
        await relaying
    assert relaying.cancelling() == 0
    assert app.exchange.client_left


async def test_a_cancellation_of_somebody_elses_stands() -> None:
    """Who cancels the exchange gets that, also where the client leaves at the same moment."""
    app, body = App(), Endless()
    relaying = app.relaying(body)
    await body.asked.wait()
    relaying.cancel()
    assert app.connection.on_lost is not None
    app.connection.on_lost()
    with pytest.raises(asyncio.CancelledError):
        await relaying
