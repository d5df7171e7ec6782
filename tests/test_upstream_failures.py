"""How a round trip fails, every engine: decided on evidence of what was sent, not on an exception's name."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway import failures
from tests.support import faults
from tests.support.engines import Upload, every_engine, fetch, opened, outbound
from tests.support.upstream import Call, fault_upstream

OK = b"HTTP/1.1 200 OK\r\n"
GARBAGE = {
    "no http": b"garbage\r\n\r\n",
    "binary": b"\x16\x03\x01\x02\x00\x01\x00\x01" * 8 + b"\r\n\r\n",
    "http/0.9": b"<html>hello</html>\r\n\r\n",
    "bad version": b"HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "status 999": b"HTTP/1.1 999 Odd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 Odd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "status 20": b"HTTP/1.1 20 Odd\r\nContent-Length: 0\r\n\r\n",
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "length and coding": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "two lengths in a line": OK + b"Content-Length: 2, 3\r\n\r\nokk",
    "signed length": OK + b"Content-Length: +2\r\n\r\nok",
    "negative length": OK + b"Content-Length: -2\r\n\r\nok",
    "coding twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "other coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding not last": OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "header without colon": OK + b"Broken\r\nContent-Length: 0\r\n\r\n",
    "space before colon": OK + b"X-A : 1\r\nContent-Length: 0\r\n\r\n",
    "control in value": OK + b"X-A: 1\x00\r\nContent-Length: 0\r\n\r\n",
    "head too large": OK + b"X-A: " + b"a" * 1_048_576 + b"\r\nContent-Length: 0\r\n\r\n",
}
TRUNCATED = {
    "length": OK + b"Content-Length: 10\r\n\r\nhello",
    "nothing of the body": OK + b"Content-Length: 10\r\n\r\n",
    "chunk": OK + b"Transfer-Encoding: chunked\r\n\r\na\r\nhello",
    "no last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "last chunk not ended": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    "bad chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
}


@pytest.fixture
def refused() -> Iterator[str]:
    """An origin at which nobody listens."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """An origin that never completes a connect: its queue of one is full."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as listener:
        port = listener.getsockname()[1]
        with closing(socket.create_connection(("127.0.0.1", port))):
            yield f"http://127.0.0.1:{port}"


async def _unreachable(engine: str, origin: str, **settings: Any) -> failures.UpstreamUnreachable:
    async with opened(engine, origin, **settings) as room:
        with pytest.raises(failures.UpstreamUnreachable) as caught:
            await fetch(room, outbound(method="POST", body=b"x", authorization="Bearer secret"))
    assert caught.value.retry_after == 1
    assert "secret" not in str(caught.value)
    return caught.value


@every_engine
async def test_refused_connect_is_unreachable(engine: str, refused: str) -> None:
    """Nobody listening: nothing was sent, and the cause is named."""
    assert (await _unreachable(engine, refused)).inner == "ConnectionRefused"


@every_engine
async def test_unknown_name_is_unreachable(engine: str) -> None:
    """A name that does not resolve: nothing was sent, and the cause is named."""
    assert (await _unreachable(engine, "https://adt.invalid")).inner == "NameResolution"


@every_engine
async def test_connect_that_takes_too_long_is_unreachable(engine: str, deaf: str) -> None:
    """A connect over its deadline: nothing was sent, and the cause is named."""
    assert (await _unreachable(engine, deaf, timeout={"connect": 0.2})).inner == "ConnectTimeout"


@every_engine
async def test_unknown_authority_is_unreachable(engine: str) -> None:
    """A certificate of a CA that is not trusted ends the handshake before anything is sent."""
    async with fault_upstream(tls=trustme.CA()) as upstream:
        assert (await _unreachable(engine, upstream.origin)).inner == "Tls"
        assert upstream.requests == []


@every_engine
async def test_foreign_name_in_the_certificate_is_unreachable(engine: str, tmp_path: Path) -> None:
    """A trusted certificate for another host does not get the token."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with fault_upstream(tls=authority, host="127.0.0.2") as upstream:
        origin = f"https://127.0.0.2:{upstream.port}"
        assert (await _unreachable(engine, origin, ca_file=tmp_path / "ca.pem")).inner == "Tls"
        assert upstream.requests == []


@every_engine
async def test_configured_authority_is_trusted(engine: str, tmp_path: Path) -> None:
    """With `upstream.ca_file` a private CA's certificate is accepted."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with (
        fault_upstream(tls=authority) as upstream,
        opened(engine, upstream.origin, ca_file=tmp_path / "ca.pem") as room,
    ):
        assert (await fetch(room, outbound(authorization="Bearer secret")))[2] == b"hello"


@every_engine
@pytest.mark.parametrize(("greeting", "causes"), [(OK + b"\r\n", {"Tls"}), (b"", {"Tls", "Connect"})])
async def test_server_without_tls_is_unreachable(engine: str, greeting: bytes, causes: set[str]) -> None:
    """A TLS handshake with a server that speaks none, or hangs up, fails before anything is sent.

    A connection that ends within the handshake is either to the engines' libraries.
    """

    async def speak_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A close with bytes unread would reset the connection, which may come before or after the greeting.
        await reader.read(65536)
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await _unreachable(engine, f"https://127.0.0.1:{port}")).inner in causes


@every_engine
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 ", OK + b"Content-Len"])
async def test_cut_before_the_head_is_lost(engine: str, start: bytes, *, reset: bool) -> None:
    """A connection that ends before a whole head: the request may have been processed."""
    async with fault_upstream(faults.cut(start, reset=reset)) as upstream:
        async with opened(engine, upstream.origin) as room:
            with pytest.raises(failures.UpstreamConnectionLost):
                await fetch(room, outbound(method="POST", body=b"x"))
        assert len(upstream.requests) == 1


@every_engine
async def test_cut_during_an_upload_is_lost(engine: str) -> None:
    """A connection that breaks while a body is on its way was sent on; it is not unreachable."""
    async with fault_upstream(faults.cut_unread()) as upstream, opened(engine, upstream.origin) as room:
        with pytest.raises(failures.UpstreamConnectionLost):
            await fetch(room, outbound(method="POST", body=Upload(1000)))
        assert len(upstream.requests) == 1


@every_engine
async def test_stale_connection_loses_a_post_once(engine: str) -> None:
    """A kept connection that dies under a POST: it reached the upstream at most once, and says so."""

    async def second_dies(call: Call) -> None:
        await call.body()
        if call.nth > 1 or call.request.path == b"/die":
            call.close()
        else:
            await faults.reply()(call)

    async with fault_upstream(second_dies) as upstream, opened(engine, upstream.origin) as room:
        await fetch(room)
        with pytest.raises(failures.UpstreamConnectionLost):
            await fetch(room, outbound(b"/die", "POST", body=b"x"))
        assert [request.path for request in upstream.requests].count(b"/die") == 1


@every_engine
@pytest.mark.parametrize("shape", GARBAGE)
async def test_answer_that_is_not_clean_http_is_bad(engine: str, shape: str) -> None:
    """What is not one unambiguous HTTP response is never relayed, and the next exchange is clean."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/bad", faults.cut(GARBAGE[shape]))
        with pytest.raises(failures.BadUpstreamResponse) as caught:
            await fetch(room, outbound(b"/bad"))
        assert len(str(caught.value)) < 200
        assert (await fetch(room))[2] == b"hello"


@every_engine
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("shape", TRUNCATED)
async def test_cut_in_the_body_is_lost(engine: str, shape: str, *, reset: bool) -> None:
    """A body that breaks raises when it is read; it never just ends, and the next exchange is clean."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/cut", faults.cut(TRUNCATED[shape], reset=reset))
        with pytest.raises(failures.UpstreamConnectionLost):
            await fetch(room, outbound(b"/cut"))
        assert (await fetch(room))[2] == b"hello"


@every_engine
async def test_every_cut_of_a_response_is_told(engine: str) -> None:
    """Cut at every byte of a small response, it is never taken for a complete one."""
    whole = OK + b"X-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n...\r\n0\r\n\r\n"
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        for end in range(len(whole)):
            upstream.default = faults.cut(whole[:end])
            with pytest.raises(failures.UpstreamConnectionLost):
                await fetch(room)
        upstream.default = faults.cut(whole)
        assert (await fetch(room))[2] == b"hello..."
