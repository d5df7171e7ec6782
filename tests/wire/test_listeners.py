"""The data listener: Unix socket, TLS, mTLS, IPv6, and how it ends without dropping anybody."""

import socket
import ssl
import stat
from pathlib import Path

import pytest
import trustme

from gateway.listeners import ListenError
from tests.support.certificates import write_certificates
from tests.support.gateway import running_gateway
from tests.support.raw import RawClient, raw_client
from tests.support.upstream import FaultUpstream
from tests.support.wire import ask, connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _ok(client: RawClient, *, host: str = "localhost") -> None:
    await client.send(request(host=host))
    response = await client.response()
    assert (response.status, response.body) == (200, b"hello")


async def test_unix_socket(upstream: FaultUpstream, tmp_path: Path) -> None:
    """It serves on the socket alone, which only owner and group can use, and removes it at the end."""
    path = tmp_path / "gateway.sock"
    async with running_gateway(upstream.origin, listen={"unix_socket": path}) as gateway:
        assert gateway.data == f"unix:{path}"
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        async with raw_client(unix_socket=path) as client:
            await _ok(client)
            # Who can open the socket is decided by its permissions, so any well-formed Host passes.
            await _ok(client, host="anything.example")
    assert not path.exists()
    assert all("client" not in line for line in gateway.exchanges())


async def test_stale_unix_socket_is_replaced(upstream: FaultUpstream, tmp_path: Path) -> None:
    """A socket left by a process that was killed is no obstacle."""
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    listen = {"unix_socket": path}
    async with running_gateway(upstream.origin, listen=listen), raw_client(unix_socket=path) as client:
        await _ok(client)


async def test_unix_socket_in_use_is_left_alone(upstream: FaultUpstream, tmp_path: Path) -> None:
    """A socket that another process serves is not taken over: one clear line, and the other serves on."""
    path = tmp_path / "gateway.sock"
    async with running_gateway(upstream.origin, listen={"unix_socket": path}):
        with pytest.raises(ListenError, match=r"^listen\.unix_socket: cannot listen on .*in use$"):
            async with running_gateway(upstream.origin, listen={"unix_socket": path}):
                pass
        async with raw_client(unix_socket=path) as client:
            await _ok(client)


async def test_port_in_use(upstream: FaultUpstream) -> None:
    """A taken port of either listener: one clear line that names the key."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for section in ("listen", "admin"):
            with pytest.raises(
                ListenError, match=rf"^{section}\.port: cannot listen on 127\.0\.0\.1:{port}: "
            ):
                async with running_gateway(upstream.origin, **{section: {"port": port}}):
                    pass


async def test_ipv6(upstream: FaultUpstream) -> None:
    """The listener takes IPv6 addresses, and their names are allowed as Host."""
    async with running_gateway(upstream.origin, listen={"host": "::1"}) as gateway:
        assert gateway.data.startswith("http://[::1]:")
        assert (await ask(gateway, host=f"[::1]:{gateway.address[1]}")).status == 200


async def test_tls(upstream: FaultUpstream, tmp_path: Path) -> None:
    """TLS with the configured certificate, from version 1.2, verified by an ordinary client."""
    files = write_certificates(tmp_path)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    async with running_gateway(upstream.origin, listen={"tls": tls}) as gateway:
        assert gateway.data.startswith("https://")
        trusting = ssl.create_default_context(cafile=files.ca)
        async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as client:
            await _ok(client)
            await _ok(client)
        with pytest.raises(ssl.SSLCertVerificationError):
            async with raw_client(
                *gateway.address, tls=ssl.create_default_context(), server_name="localhost"
            ):
                pass
        old = ssl.create_default_context(cafile=files.ca)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_2
        async with raw_client(*gateway.address, tls=old, server_name="localhost") as client:
            await _ok(client)


async def test_plain_text_on_the_tls_port_gets_nothing(upstream: FaultUpstream, tmp_path: Path) -> None:
    """A client that speaks plain HTTP to the TLS listener is dropped, and the listener lives on."""
    files = write_certificates(tmp_path)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    async with running_gateway(upstream.origin, listen={"tls": tls}) as gateway:
        async with connected(gateway) as client:
            await client.send(request())
            assert not (await client.until_close()).startswith(b"HTTP/1.1 2")
        trusting = ssl.create_default_context(cafile=files.ca)
        async with raw_client(*gateway.address, tls=trusting, server_name="localhost") as client:
            await _ok(client)
    assert len(upstream.requests) == 1


async def test_mtls(upstream: FaultUpstream, tmp_path: Path) -> None:
    """With a client CA only a certificate of that CA gets in."""
    files = write_certificates(tmp_path)
    ours, foreign = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "clients.pem")
    tls = {
        "certificate_file": files.certificate,
        "key_file": files.key,
        "client_ca_file": tmp_path / "clients.pem",
    }
    async with running_gateway(upstream.origin, listen={"tls": tls}) as gateway:
        for authority, admitted in ((ours, True), (foreign, False), (None, False)):
            context = ssl.create_default_context(cafile=files.ca)
            if authority is not None:
                authority.issue_cert("app.example").configure_cert(context)
            assert await _admitted(gateway.address, context) == admitted
    assert len(upstream.requests) == 1


async def _admitted(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    """Whether a request over this context is answered; TLS 1.3 refuses after the handshake."""
    try:
        async with raw_client(*address, tls=context, server_name="localhost") as client:
            await client.send(request())
            return (await client.response()).status == 200
    except (ssl.SSLError, ConnectionError):
        return False
