"""The way to a connection of the asyncio engine: through tunnels, with TLS in TLS, and whom it trusts."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from gateway import failures
from gateway.upstream.trust import Trust
from tests.support.addresses import deaf_origin, refusing_origin
from tests.support.engines import fetch, opened
from tests.support.upstream import GUARD, FaultUpstream, fault_upstream

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@asynccontextmanager
async def tunnelling(tls: ssl.SSLContext | None, heads: list[bytes]) -> AsyncIterator[str]:
    """The URL of a proxy that builds each tunnel, and keeps the heads by which it was asked."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    ended: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.Event())
        end = ended[-1]
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        host, _, port = head.split(b" ")[1].partition(b":")
        there, away = await asyncio.open_connection(host.decode(), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, away), pump(there, writer))
        end.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://name:word@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        async with asyncio.timeout(GUARD):
            for end in ended:
                await end.wait()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """A CA whose certificate is in `ca.pem`."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


def _server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("secured", [False, True], ids=["http proxy", "https proxy"])
def test_tls_goes_through_a_tunnel(
    tmp_path: Path, authority: trustme.CA, loop: str, *, secured: bool
) -> None:
    """The proxy sees host, port and its own credentials; the upstream the rest, on one kept connection."""
    heads: list[bytes] = []

    async def twice() -> FaultUpstream:
        tls = _server_side(authority) if secured else None
        async with fault_upstream(tls=authority) as upstream, tunnelling(tls, heads) as proxy:
            way = {"proxy": proxy, "ca_file": tmp_path / "ca.pem"}
            async with opened("asyncio", upstream.origin, **way) as room:
                for _ in range(2):
                    assert (await fetch(room))[2] == b"hello"
            return upstream

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        upstream = runner.run(twice())
    assert upstream.connections == 1
    [head] = heads
    assert head.startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % upstream.port)
    assert b"proxy-authorization: Basic bmFtZTp3b3Jk\r\n" in head
    assert b"proxy-authorization" not in upstream.last.names


def test_who_is_behind_the_tunnel_is_checked(tmp_path: Path, authority: trustme.CA) -> None:
    """A proxy with a good certificate of its own does not make the upstream's good."""

    async def ask() -> str | None:
        tls = _server_side(authority)
        async with fault_upstream(tls=trustme.CA()) as upstream, tunnelling(tls, []) as proxy:
            way = {"proxy": proxy, "ca_file": tmp_path / "ca.pem"}
            async with opened("asyncio", upstream.origin, **way) as room:
                with pytest.raises(failures.UpstreamUnreachable) as caught:
                    await fetch(room)
        return caught.value.inner

    # Python's own loop cannot end TLS in TLS after a handshake that failed (3.11.7).
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == "Tls"


async def test_a_new_ca_is_trusted_once_the_old_context_has_its_age() -> None:
    """The file is read again for new connections; while it cannot be, what was read stays."""
    made = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), None, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)]
    first, _, last = made

    def build() -> ssl.SSLContext:
        context = made.pop(0)
        if context is None:
            raise ssl.SSLError("the file is just being replaced")
        return context

    trust = Trust(build, age=0.0)
    assert [await trust.context() for _ in range(3)] == [first, first, last]


async def test_a_context_is_kept_for_its_age() -> None:
    """To read the CAs for each connection would take longer than to connect."""
    trust = Trust(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), age=300.0)
    assert await trust.context() is await trust.context()


class _Later(asyncio.SelectorEventLoop):
    """A loop whose clock the test puts forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def test_a_dial_that_is_given_up_leaves_the_renewal_to_the_next() -> None:
    """The old context would else stay for another age."""
    loop, began, let_go = _Later(), threading.Event(), threading.Event()
    made = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(3)]
    left = iter(made)

    def build() -> ssl.SSLContext:
        context = next(left)
        if context is made[1]:
            began.set()
            assert let_go.wait(GUARD)
        return context

    async def renew() -> ssl.SSLContext:
        trust = Trust(build, age=300.0)
        assert await trust.context() is made[0]
        loop.ahead = 301.0
        dialling = asyncio.ensure_future(trust.context())
        assert await asyncio.to_thread(began.wait, GUARD)
        dialling.cancel()
        assert await asyncio.gather(dialling, return_exceptions=True)
        let_go.set()
        return await trust.context()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(renew()) is made[2]


class _Names(asyncio.SelectorEventLoop):
    """A loop whose resolver has these addresses for every name, in this order."""

    addresses: Sequence[str] = ()

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        del host
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, port)) for address in self.addresses]


def _named(*addresses: str) -> _Names:
    loop = _Names()
    loop.addresses = addresses
    return loop


@pytest.mark.parametrize("silent", [False, True])
def test_the_next_address_is_tried(*, silent: bool) -> None:
    """An address that refuses, or says nothing, does not keep a request from the next (RFC 8305)."""

    async def ask() -> bytes:
        async with fault_upstream() as upstream:
            with deaf_origin("127.0.0.2", upstream.port) if silent else nullcontext():
                async with opened(
                    "asyncio", f"http://upstream.test:{upstream.port}", allow_plain_http=True
                ) as room:
                    return (await fetch(room))[2]

    with asyncio.Runner(loop_factory=lambda: _named("127.0.0.2", "127.0.0.1")) as runner:
        assert runner.run(ask()) == b"hello"


def test_no_address_takes_a_connection() -> None:
    """Where all refuse, the upstream cannot be reached, and was sent nothing."""

    async def ask() -> str | None:
        with refusing_origin() as origin:
            named = origin.replace("127.0.0.1", "upstream.test")
            async with opened("asyncio", named, allow_plain_http=True) as room:
                with pytest.raises(failures.UpstreamUnreachable) as caught:
                    await fetch(room)
        return caught.value.inner

    with asyncio.Runner(loop_factory=lambda: _named("127.0.0.2", "127.0.0.1")) as runner:
        assert runner.run(ask()) == "ConnectionRefused"
