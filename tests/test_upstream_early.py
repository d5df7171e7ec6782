"""An upstream that answers before it has read the request, every engine: its answer is heard."""

import asyncio

import pytest

from gateway import failures
from tests.support import faults
from tests.support.engines import Upload, every_engine, fetch, opened, outbound
from tests.support.upstream import Behaviour, Call, fault_upstream

TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"
CLOSING = TOO_LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
FAR_MORE_THAN_FITS = 1_000
"""Pieces of 64 KiB: more than the sockets' buffers hold, so that the upload stands still."""


async def _answer_and_stop_reading(call: Call) -> None:
    await call.send(TOO_LARGE)
    await asyncio.Event().wait()


async def _answer_and_read_on(call: Call) -> None:
    await call.send(TOO_LARGE)
    await call.body()


async def _answer_and_read_some_and_close(call: Call) -> None:
    await call.send(CLOSING)
    await call.some(1_000_000)
    call.close()


@every_engine
@pytest.mark.parametrize(
    "behaviour", [_answer_and_stop_reading, _answer_and_read_on, _answer_and_read_some_and_close]
)
async def test_early_answer_is_heard(engine: str, behaviour: Behaviour) -> None:
    """An answer that comes while the upload is under way is the answer, whatever becomes of the upload."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/early", behaviour)
        status, _, body = await fetch(room, outbound(b"/early", "PUT", body=Upload(FAR_MORE_THAN_FITS)))
        assert (status, body) == (413, b"large")
        assert (await fetch(room))[2] == b"hello"


@every_engine
async def test_interim_answers_do_not_end_an_upload(engine: str) -> None:
    """Interim answers during an upload are passed over, and all of it arrives."""
    upload = Upload(100)
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.first(
            b"HTTP/1.1 102 Processing\r\n\r\n" * 3, faults.reply(200, b"all of it")
        )
        assert (await fetch(room, outbound(method="PUT", body=upload)))[2] == b"all of it"
        assert upstream.last.size == upload.pulled == 100 * 65_536


@every_engine
async def test_early_garbage_is_bad(engine: str) -> None:
    """What is no HTTP is no answer during an upload either."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.first(b"garbage\r\n\r\n", _answer_and_stop_reading)
        with pytest.raises(failures.BadUpstreamResponse):
            await fetch(room, outbound(method="PUT", body=Upload(FAR_MORE_THAN_FITS)))


@every_engine
async def test_early_end_is_lost(engine: str) -> None:
    """A connection that the upstream ends during an upload, without an answer, is lost, not unreachable."""

    async def read_some_and_close(call: Call) -> None:
        await call.some(1_000_000)
        call.close()

    async with fault_upstream(read_some_and_close) as upstream, opened(engine, upstream.origin) as room:
        with pytest.raises(failures.UpstreamConnectionLost):
            await fetch(room, outbound(method="PUT", body=Upload(FAR_MORE_THAN_FITS)))
