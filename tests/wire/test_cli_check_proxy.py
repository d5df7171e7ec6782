"""`adt-gateway check --online` through a proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.support import faults
from tests.support.checking import check, entra_jwt, static
from tests.support.upstream import fault_upstream

EVENT_ROUTES = faults.reply(200, b'{"value": []}')

TOKEN = entra_jwt()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """A CA that this machine does not trust; `ca.pem` holds it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ca


@dataclass
class Proxy:
    """A proxy that opens tunnels, or answers `refusal`; `heads` is what it was asked."""

    refusal: bytes = b""
    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            if self.refusal:
                writer.write(b"HTTP/1.1 " + self.refusal + b"\r\nContent-Length: 0\r\n\r\n")
            else:
                host, _, port = head.split()[1].decode().rpartition(":")
                beyond, to = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await asyncio.gather(_pipe(reader, to), _pipe(beyond, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on; the end of one way ends both, also where the test is over before."""
    try:
        with suppress(ConnectionError):
            while piece := await reader.read(65_536):
                writer.write(piece)
    finally:
        writer.close()


@asynccontextmanager
async def running_proxy(refusal: bytes = b"") -> AsyncIterator[Proxy]:
    """A proxy until the block ends."""
    proxy = Proxy(refusal)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(proxy.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_through_the_proxy(authority: trustme.CA, tmp_path: Path) -> None:
    """Name and connection are the proxy's, TLS and request the upstream's; the proxy sees no token."""
    async with fault_upstream(EVENT_ROUTES, tls=authority) as upstream, running_proxy() as proxy:
        way = {
            "base_url": upstream.origin,
            "ca_file": tmp_path / "ca.pem",
            "proxy": f"http://user:canary@127.0.0.1:{proxy.port}",
        }
        checked = await check(upstream.origin, auth=static(TOKEN), upstream=way)
        assert len(upstream.requests) == 1
    assert checked.code == 0
    assert checked.steps["connection"].message == f"the proxy 127.0.0.1:{proxy.port} accepts connections"
    assert checked.steps["tls"].message.endswith(f"through the proxy 127.0.0.1:{proxy.port}")
    assert all(head.startswith(b"CONNECT ") for head in proxy.heads)
    assert TOKEN.encode() not in b"".join(proxy.heads)
    assert "canary" not in checked.text


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (b"407 Proxy Authentication Required", "the proxy's user and password into upstream.proxy"),
        (b"403 No\x1b[31m", "allow CONNECT to this host and port"),
    ],
    ids=["407", "403"],
)
async def test_a_proxy_that_refuses(refusal: bytes, advice: str) -> None:
    """A proxy that opens no tunnel: its answer, and what to do; no request is sent."""
    async with running_proxy(refusal) as proxy:
        way = {"base_url": "https://instance.invalid", "proxy": f"http://127.0.0.1:{proxy.port}"}
        checked = await check("https://instance.invalid", auth=static(TOKEN), upstream=way)
    assert checked.failed == ["tls"]
    assert refusal[:3].decode() in checked.steps["tls"].message
    assert advice in checked.steps["tls"].advice
    assert len(proxy.heads) == 1


async def test_a_proxy_that_does_not_take_the_password() -> None:
    """Refused with user and password: they are to be checked, not to be put there, and are not shown."""
    async with running_proxy(b"407 Proxy Authentication Required") as proxy:
        way = {
            "base_url": "https://instance.invalid",
            "proxy": f"http://u:canary-canary@127.0.0.1:{proxy.port}",
        }
        checked = await check("https://instance.invalid", auth=static(TOKEN), upstream=way)
    assert "does not take the user and password in upstream.proxy: check them" in checked.steps["tls"].advice
    assert "canary" not in checked.text


@pytest.mark.parametrize(
    "pieces", [b"", b"HTTP/1.1 200 Connected\r\nx-a: " + b"a" * 100], ids=["hangs", "drips"]
)
async def test_a_proxy_that_hangs(pieces: bytes) -> None:
    """A proxy that says nothing, or never ends what it says: it is the one to blame, within bounds."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(bytes([piece]))
                await asyncio.wait({gone}, timeout=0.05)
            await gone
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(serve(reader, writer)))

    tasks: set[asyncio.Task[None]] = set()
    gone = asyncio.get_running_loop().create_future()
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        limit = {"proxy": f"http://{place}", "timeout": {"connect": 0.2, "first_byte": 0.2}}
        secure, plain = [
            await check(url, auth=static(TOKEN), upstream={"base_url": url, **limit})
            for url in ("https://instance.invalid", "http://127.0.0.1:1")
        ]
        gone.set_result(None)
        await asyncio.gather(*tasks)
    told = secure.steps["tls"]
    assert secure.failed == ["tls"]
    assert told.message.startswith(f"the proxy {place} does not open a tunnel to instance.invalid: no ")
    assert "upstream.proxy" in told.advice
    if not pieces:
        assert f"the proxy {place}" in plain.steps["request"].advice


async def test_a_proxy_that_is_not_there() -> None:
    """The connection that fails is the proxy's, and its key is named."""
    way = {"base_url": "https://instance.invalid", "proxy": "http://127.0.0.1:1"}
    checked = await check("https://instance.invalid", auth=static(TOKEN), upstream=way)
    assert checked.failed == ["connection"]
    assert "upstream.proxy" in checked.steps["connection"].advice
