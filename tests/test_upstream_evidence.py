"""What was sent is decided on evidence, every engine: behind proxies, within TLS, on each chain of causes."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pyreqwest.exceptions import ConnectError, PyreqwestError, RequestError

from gateway import failures
from gateway.upstream.pyreqwest_failures import fail
from tests.support import faults
from tests.support.addresses import refusing_origin
from tests.support.engines import every_engine, fetch, opened, outbound
from tests.support.upstream import fault_upstream

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A port where each connection is talked to, and then broken."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _post(engine: str, origin: str, **settings: Any) -> None:
    async with opened(engine, origin, **settings) as room:
        await fetch(room, outbound(method="POST", body=b"x"))


def _server_side(authority: trustme.CA, *, asks_for_a_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if asks_for_a_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """A CA whose certificate is in `ca.pem`."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@every_engine
async def test_proxy_that_nobody_listens_at(engine: str) -> None:
    """A proxy that refuses the connect has sent nothing on."""
    with refusing_origin() as nobody, pytest.raises(failures.UpstreamUnreachable):
        await _post(engine, "http://upstream.test", proxy=nobody)


@every_engine
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_proxy_whose_name_is_unknown(engine: str, scheme: str) -> None:
    """A proxy that cannot be found has sent nothing on."""
    with pytest.raises(failures.UpstreamUnreachable) as caught:
        await _post(engine, f"{scheme}://upstream.test", proxy="http://proxy.invalid:3128")
    assert caught.value.inner == "NameResolution"


@every_engine
@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"]
)
async def test_tunnel_that_is_not_built(engine: str, answer: bytes) -> None:
    """A proxy that refuses a tunnel, dies, or talks nonsense instead has seen nothing of the request."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with listening(refuse) as port:
        with pytest.raises(failures.UpstreamUnreachable):
            await _post(engine, "https://upstream.test", proxy=f"http://127.0.0.1:{port}")


@every_engine
async def test_tunnel_that_breaks_in_the_handshake(engine: str) -> None:
    """A tunnel that ends within the TLS handshake has carried nothing of the request."""

    async def build_and_break(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TUNNEL)
        await reader.read(1)

    async with listening(build_and_break) as port:
        with pytest.raises(failures.UpstreamUnreachable):
            await _post(engine, "https://upstream.test", proxy=f"http://127.0.0.1:{port}")


@every_engine
async def test_proxy_gets_its_own_credentials(engine: str) -> None:
    """User name and password of `upstream.proxy` are the proxy's, in plain Basic, escapes taken off."""
    async with fault_upstream() as proxy:
        address = proxy.origin.replace("//", "//name:p%40ss@")
        await _post(engine, "http://upstream.test", proxy=address)
        assert proxy.last.values(b"proxy-authorization") == [b"Basic " + b64encode(b"name:p@ss")]


@every_engine
@pytest.mark.parametrize("reset", [False, True])
async def test_proxy_that_took_the_request(engine: str, *, reset: bool) -> None:
    """A proxy that took a plain request and broke off may have sent it on."""
    async with fault_upstream(faults.cut(reset=reset)) as proxy:
        with pytest.raises(failures.UpstreamConnectionLost):
            await _post(engine, "http://upstream.test", proxy=proxy.origin)
        assert len(proxy.requests) == 1


@every_engine
@pytest.mark.parametrize("reset", [False, True])
async def test_broken_after_the_handshake(
    engine: str, tmp_path: Path, authority: trustme.CA, *, reset: bool
) -> None:
    """A request that went out over TLS may have been carried out, however the connection ends."""
    async with fault_upstream(faults.cut(reset=reset), tls=authority) as upstream:
        with pytest.raises(failures.UpstreamConnectionLost):
            await _post(engine, upstream.origin, ca_file=tmp_path / "ca.pem")
        assert len(upstream.requests) == 1


@every_engine
async def test_certificate_that_is_asked_for_too_late(
    engine: str, tmp_path: Path, authority: trustme.CA
) -> None:
    """TLS 1.3 misses a client certificate once the request may have gone out: it is not called unsent."""

    async def unheard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    context = _server_side(authority, asks_for_a_certificate=True)
    async with listening(unheard, context) as port:
        with pytest.raises(failures.UpstreamConnectionLost):
            await _post(engine, f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.pem")


@every_engine
async def test_reset_within_the_handshake(engine: str, tmp_path: Path, authority: trustme.CA) -> None:
    """A connection that is reset before the handshake ends has carried nothing."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    async with listening(reset) as port:
        with pytest.raises(failures.UpstreamUnreachable):
            await _post(engine, f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.pem")


CONNECT = ("error sending request", "client error (Connect)")
SENT = ("error sending request", "client error (SendRequest)")
UNREACHABLE = {
    "refused": ((*CONNECT, "tcp connect error", "Connection refused (os error 111)"), "ConnectionRefused"),
    "name": ((*CONNECT, "dns error", "failed to lookup address information"), "NameResolution"),
    "time": ((*CONNECT, "tcp connect error", "deadline has elapsed"), "ConnectTimeout"),
    "certificate": ((*CONNECT, "invalid peer certificate: UnknownIssuer"), "Tls"),
    "no TLS": ((*CONNECT, "received corrupt message of type InvalidContentType"), "Tls"),
    "handshake": ((*CONNECT, "tls handshake eof"), "Tls"),
    "reset": ((*CONNECT, "Connection reset by peer (os error 104)"), "Connect"),
}
SENT_CAUSES = {
    "closed": ((*SENT, "connection closed before message completed"), failures.UpstreamConnectionLost),
    "reset": ((*SENT, "Connection reset by peer (os error 104)"), failures.UpstreamConnectionLost),
    "pipe": ((*SENT, "Broken pipe (os error 32)"), failures.UpstreamConnectionLost),
    "unexpected": ((*SENT, "received unexpected message from connection"), failures.UpstreamConnectionLost),
    "refused after all": ((*SENT, "Connection refused (os error 111)"), failures.UpstreamConnectionLost),
    "no HTTP": ((*SENT, "invalid HTTP version parsed"), failures.BadUpstreamResponse),
    "head": ((*SENT, "message head is too large"), failures.BadUpstreamResponse),
    "nothing told": ((), failures.UpstreamConnectionLost),
}


def _error(kind: type[RequestError], causes: tuple[str, ...]) -> RequestError:
    return kind("failed", {"causes": [{"message": message} for message in causes]})


@pytest.mark.parametrize("kind", [ConnectError, RequestError])
@pytest.mark.parametrize("case", UNREACHABLE)
def test_connect_in_the_causes_is_unsent(case: str, kind: type[RequestError]) -> None:
    """Hyper's own word that it was connecting makes a request unsent, whatever the exception's class."""
    causes, inner = UNREACHABLE[case]
    with pytest.raises(failures.UpstreamUnreachable) as caught:
        fail(_error(kind, causes))
    assert (caught.value.inner, caught.value.retry_after) == (inner, 1)


@pytest.mark.parametrize("kind", [ConnectError, RequestError])
@pytest.mark.parametrize("case", SENT_CAUSES)
def test_anything_else_may_have_been_sent(case: str, kind: type[RequestError]) -> None:
    """Without that word it was sent, also where the class is ConnectError or a text says refused."""
    causes, expected = SENT_CAUSES[case]
    with pytest.raises(expected) as caught:
        fail(_error(kind, causes))
    assert caught.value.retry_after is None


def test_error_without_details_may_have_been_sent() -> None:
    """An exception that tells no causes is no evidence."""
    with pytest.raises(failures.UpstreamConnectionLost):
        fail(PyreqwestError("client error (Connect)"))


@every_engine
@pytest.mark.parametrize("told", [True, False])
async def test_an_end_that_tls_does_not_tell_of(
    engine: str, tmp_path: Path, authority: trustme.CA, *, told: bool
) -> None:
    """A body that lasts to the end of its connection is whole only with TLS's own end (RFC 9112, 9.8)."""

    async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it?")
        await writer.drain()
        if told:
            writer.close()
            await writer.wait_closed()
        else:
            writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await reader.read()

    async with listening(until_the_end, _server_side(authority)) as port:
        way = {"ca_file": tmp_path / "ca.pem"}
        async with opened(engine, f"https://127.0.0.1:{port}", **way) as room:
            if told:
                assert (await fetch(room))[2] == b"all of it?"
            else:
                with pytest.raises(failures.UpstreamConnectionLost):
                    await fetch(room)
