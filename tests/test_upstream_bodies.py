"""Bodies through the upstream room, every engine: framed as given, streamed, never completed when broken."""

import asyncio
import hashlib
from contextlib import suppress

import pytest

from gateway import failures
from tests.support import faults
from tests.support.engines import Upload, every_engine, fetch, opened, outbound, read_all
from tests.support.upstream import GUARD, Call, fault_upstream

MIB = 1_048_576
IN_FLIGHT = 32 * MIB
"""More than both sockets' buffers hold, far less than a body that is collected in memory."""


@every_engine
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_empty_body_with_a_length_stays_one(engine: str, method: str) -> None:
    """`Content-Length: 0` goes out once and as it was."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(method=method, headers=[(b"content-length", b"0")], body=b""))
        assert upstream.last.values(b"content-length") == [b"0"]
        assert upstream.last.values(b"transfer-encoding") == []


@every_engine
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_no_body_gets_no_framing(engine: str, method: str) -> None:
    """A request without a body and without a length is not given a coding, nor a length but 0."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(method=method))
        assert upstream.last.values(b"transfer-encoding") == []
        assert upstream.last.values(b"content-length") in ([], [b"0"])
        assert upstream.last.size == 0


@every_engine
async def test_known_body_keeps_its_length(engine: str) -> None:
    """A body in memory goes out with its declared length, once, on GET as well."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        for method in ("POST", "GET"):
            await fetch(room, outbound(method=method, headers=[(b"content-length", b"5")], body=b"hello"))
            assert upstream.last.values(b"content-length") == [b"5"]
            assert upstream.last.values(b"transfer-encoding") == []
            assert upstream.last.body == b"hello"


@every_engine
async def test_known_body_that_came_in_chunks_gets_its_length(engine: str) -> None:
    """A body in memory without a declared length is framed by the length it has."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(method="POST", body=b"hello"))
        assert upstream.last.values(b"content-length") == [b"5"]
        assert upstream.last.body == b"hello"


@every_engine
@pytest.mark.parametrize("declared", [True, False])
async def test_upload_is_streamed_whole(engine: str, *, declared: bool) -> None:
    """A stream goes out byte for byte, with the declared length, or in chunks where there is none."""
    upload = Upload(100)
    size = 100 * 65_536
    headers = [(b"content-length", b"%d" % size)] if declared else []
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(method="POST", headers=headers, body=upload))
        assert upstream.last.complete
        assert upstream.last.size == size
        assert upstream.last.sha256 == hashlib.sha256(b"u" * size).hexdigest()
        assert upstream.last.values(b"content-length") == ([b"%d" % size] if declared else [])
        assert upstream.last.values(b"transfer-encoding") == ([] if declared else [b"chunked"])


@every_engine
@pytest.mark.parametrize("declared", [True, False])
async def test_broken_upload_is_never_completed(engine: str, *, declared: bool) -> None:
    """When the app's body breaks, the upstream's connection breaks: it never sees a whole request."""
    headers = [(b"content-length", b"%d" % (10 * 65_536))] if declared else []
    upload = Upload(3, failure=failures.ClientLeft())
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        with pytest.raises((failures.ClientLeft, failures.UpstreamConnectionLost)):
            await fetch(room, outbound(method="POST", headers=headers, body=upload))
        (request,) = await upstream.received(1)
        async with asyncio.timeout(GUARD):
            await request.over.wait()
        assert not request.complete
        assert (await fetch(room))[0] == 200


@every_engine
async def test_upload_shorter_than_declared_is_never_completed(engine: str) -> None:
    """A stream that ends before its declared length fails, and what follows is not taken for its rest."""
    upload = Upload(1, piece=b"short")
    headers = [(b"content-length", b"9")]
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        # The server's parser makes this impossible, so that no failure of its own is promised.
        with suppress(Exception):
            await fetch(room, outbound(method="POST", headers=headers, body=upload))
        assert (await fetch(room))[0] == 200
        first = upstream.requests[0]
        assert not first.complete
        assert first.body in (b"", b"short")


@every_engine
async def test_upload_longer_than_declared_smuggles_nothing(engine: str) -> None:
    """What a stream holds beyond its declared length is never read as a second request."""
    upload = Upload(1, piece=b"12345GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")
    headers = [(b"content-length", b"5")]
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        with suppress(Exception):
            await fetch(room, outbound(method="POST", headers=headers, body=upload))
        await fetch(room, outbound(b"/next"))
        assert b"/evil" not in {request.path for request in upstream.requests}


@every_engine
async def test_upload_waits_for_the_upstream(engine: str) -> None:
    """While the upstream does not read, little of an upload is asked for; then all of it arrives."""
    upload = Upload(128 * MIB // 65_536)
    gate = asyncio.Event()

    async def read_late(call: Call) -> None:
        await gate.wait()
        await faults.reply()(call)

    async with fault_upstream(read_late) as upstream, opened(engine, upstream.origin) as room:
        sending = asyncio.ensure_future(fetch(room, outbound(method="POST", body=upload)))
        await upload.held_up()
        assert 0 < upload.pulled < IN_FLIGHT
        gate.set()
        assert (await sending)[0] == 200
        assert upstream.last.size == 128 * MIB


@every_engine
@pytest.mark.parametrize("chunked", [True, False])
async def test_download_waits_for_the_reader(engine: str, *, chunked: bool) -> None:
    """While nobody reads, the upstream is held up after a bounded part; then all of it arrives whole."""
    download = faults.Download(128 * MIB, chunked=chunked)
    async with fault_upstream(download) as upstream, opened(engine, upstream.origin) as room:
        response = await room.round_trip(outbound())
        waits = [asyncio.ensure_future(event.wait()) for event in (download.held_up, download.finished)]
        async with asyncio.timeout(GUARD):
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        assert not download.finished.is_set()
        assert download.sent < IN_FLIGHT
        digest = hashlib.sha256()
        while (piece := await response.read()) is not None:
            digest.update(piece)
        await response.aclose()
        await asyncio.gather(*waits)
        assert digest.hexdigest() == download.sha256


@every_engine
async def test_head_of_a_streamed_response_is_not_held_back(engine: str) -> None:
    """The response head is there before the first byte of its body, and each piece when it is sent."""
    gate = asyncio.Event()

    async def slowly(call: Call) -> None:
        await call.body()
        await call.send_head(200, [(b"Transfer-Encoding", b"chunked")])
        await gate.wait()
        await call.send_chunk(b"one")
        await call.gone()

    async with fault_upstream(slowly) as upstream, opened(engine, upstream.origin) as room:
        response = await room.round_trip(outbound())
        gate.set()
        assert await response.read() == b"one"
        await response.aclose()


@every_engine
async def test_early_answer_to_an_upload_is_relayed(engine: str) -> None:
    """An upstream that refuses before it has read the body is heard, not reported as broken."""

    async def refuse(call: Call) -> None:
        await call.send_head(413, [(b"Content-Length", b"3"), (b"Connection", b"close")])
        await call.send(b"big")
        await call.body()

    async with fault_upstream(refuse) as upstream, opened(engine, upstream.origin) as room:
        status, _, body = await fetch(room, outbound(method="POST", body=Upload(200)))
        assert (status, body) == (413, b"big")


@every_engine
async def test_head_response_has_no_body(engine: str) -> None:
    """The length of an answer to HEAD is kept, its body is empty, and the next exchange is clean."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.reply(200, b"hello")
        status, headers, body = await fetch(room, outbound(method="HEAD"))
        assert (status, body) == (200, b"")
        assert (b"content-length", b"5") in headers
        assert (await fetch(room))[2] == b"hello"


@every_engine
@pytest.mark.parametrize(
    "head", [b"204 No Content\r\n", b"304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n"]
)
async def test_bodiless_statuses_have_no_body(engine: str, head: bytes) -> None:
    """204 and 304 end with their head, whatever length a 304 names."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/none", faults.raw(b"HTTP/1.1 " + head + b"\r\n"))
        status, headers, body = await fetch(room, outbound(b"/none"))
        assert (status, body) == (int(head[:3]), b"")
        assert dict(headers).get(b"content-length") == (b"7" if status == 304 else None)
        assert (await fetch(room))[2] == b"hello"


@every_engine
async def test_body_until_close_is_read_whole(engine: str) -> None:
    """A response without framing ends with its connection, and is complete (RFC 9112, section 6.3)."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.cut(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000)
        assert (await fetch(room))[2] == b"x" * 100_000


@every_engine
async def test_trailers_are_no_part_of_the_body(engine: str) -> None:
    """Trailers and chunk extensions of a response are read past."""
    chunked = b"3;ext=1\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked)
        for _ in range(2):
            response = await room.round_trip(outbound())
            assert await read_all(response) == b"abc"


async def test_a_body_that_came_with_its_head_is_whole() -> None:
    """All of it at once where it is here, and nothing where some is still to come: that is read as ever."""
    more = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        upstream.on("/whole", faults.raw(head + b"whole!"))
        upstream.on("/none", faults.raw(b"HTTP/1.1 204 None\r\n\r\n"))
        upstream.on("/part", faults.first(head + b"who", faults.gated(more, faults.raw(b"le!"))))
        for path, said in ((b"/whole", b"whole!"), (b"/none", b"")):
            response = await room.round_trip(outbound(path))
            assert (response.whole(), await response.read()) == (said, None)
            await response.aclose()
        response = await room.round_trip(outbound(b"/part"))
        assert response.whole() is None
        more.set()
        assert await read_all(response) == b"whole!"
        assert upstream.connections == 1
