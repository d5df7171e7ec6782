"""The data listener's certificates, which are renewed while it serves."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest
import trustme

from gateway.config import ListenTls
from gateway.config.followed import POLL
from gateway.tls import ListenerTls
from tests.support.certificates import write_certificates


class Site:
    """A folder with the listener's files, as something else renews them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.clients = trustme.CA()
        self.certificate, self.key, self.client_ca = (
            folder / name for name in ("tls.crt", "tls.key", "clients.pem")
        )
        self.renew()

    def renew(self) -> bytes:
        """Write a new certificate with its key; returns the certificate in DER."""
        issued = self.issued()
        self.certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        self.key.write_bytes(issued.private_key_pem.bytes())
        return der(issued)

    def issued(self) -> trustme.LeafCert:
        """A certificate of the same CA for the same names."""
        return self.authority.issue_cert("localhost", "127.0.0.1")

    def settings(self, **more: Path) -> ListenTls:
        return ListenTls(certificate_file=self.certificate, key_file=self.key, **more)

    def trusting(self, client: trustme.CA | None = None) -> ssl.SSLContext:
        """A client's context, with a certificate of a CA if there is one."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if client is not None:
            client.issue_cert("app.example").configure_cert(context)
        return context


def der(issued: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@asynccontextmanager
async def served(tls: ListenerTls) -> AsyncIterator[int]:
    """A server that says what it hears, on the port that is yielded."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ssl.SSLError, ConnectionError):  # a client that is refused, or leaves
            while line := await reader.readline():
                writer.write(line)

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=tls.context) as server:
        yield server.sockets[0].getsockname()[1]


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def answers(self) -> bool:
        self._writer.write(b"hello\n")
        try:
            return await self._reader.readline() == b"hello\n"
        except (ssl.SSLError, ConnectionError):
            return False

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def connected(port: int, context: ssl.SSLContext, name: str = "localhost") -> AsyncIterator[Client]:
    """A connection; with an address for a name, the handshake names no server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    client = Client(reader, writer)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_renewed_certificate(site: Site, name: str) -> None:
    """A new connection gets the new certificate, with a server name or without, and an old one goes on."""
    tls = ListenerTls(site.settings())
    async with served(tls) as port, connected(port, site.trusting(), name) as old:
        renewed = site.renew()
        await tls.look()
        async with connected(port, site.trusting(), name) as new:
            assert new.certificate == renewed != old.certificate
            assert await new.answers()
        assert await old.answers()


async def test_what_has_not_changed_is_not_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A look at the same files says nothing and changes nothing."""
    tls = ListenerTls(site.settings())
    with caplog.at_level(logging.INFO, "gateway.tls"):
        await tls.look()
    assert not caplog.records


async def test_a_pair_is_replaced_file_by_file(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """While certificate and key do not match the pair before them stays in use, and that is told."""
    tls = ListenerTls(site.settings())
    before = ssl.PEM_cert_to_DER_cert(site.certificate.read_text())
    issued = site.issued()
    async with served(tls) as port:
        site.certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        await tls.look()
        async with connected(port, site.trusting()) as client:
            assert client.certificate == before
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        site.key.write_bytes(issued.private_key_pem.bytes())
        await tls.look()
        async with connected(port, site.trusting()) as client:
            assert client.certificate == der(issued)


async def test_files_that_are_gone(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Without its files the listener keeps what it has, and takes them up again when they are back."""
    tls = ListenerTls(site.settings())
    before = ssl.PEM_cert_to_DER_cert(site.certificate.read_text())
    async with served(tls) as port:
        site.certificate.unlink()
        site.key.unlink()
        await tls.look()
        async with connected(port, site.trusting()) as client:
            assert client.certificate == before
        assert "No such file" in vars(caplog.records[0])["reason"]
        renewed = site.renew()
        await tls.look()
        async with connected(port, site.trusting()) as client:
            assert client.certificate == renewed


async def test_an_encrypted_key(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A key that needs a password cannot be used, and nobody is asked for it."""
    tls = ListenerTls(site.settings())
    (tmp_path / "other").mkdir()
    other = write_certificates(tmp_path / "other")
    site.certificate.write_bytes(other.certificate.read_bytes())
    site.key.write_bytes(other.encrypted_key.read_bytes())
    await tls.look()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert capfd.readouterr() == ("", "")


async def test_a_new_client_ca(site: Site) -> None:
    """After a change of the client CA its certificates get in, and those of the one before do not."""
    site.clients.cert_pem.write_to_path(site.client_ca)
    successor = trustme.CA()
    tls = ListenerTls(site.settings(client_ca_file=site.client_ca))
    async with served(tls) as port:
        assert await admitted(port, site.trusting(site.clients))
        successor.cert_pem.write_to_path(site.client_ca)
        await tls.look()
        assert await admitted(port, site.trusting(successor))
        for refused in (site.clients, None):
            assert not await admitted(port, site.trusting(refused))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_session_outlives_the_client_ca(site: Site, version: ssl.TLSVersion) -> None:
    """A client of the CA before cannot take up its old session; it would be let in without a look at it."""
    site.clients.cert_pem.write_to_path(site.client_ca)
    tls = ListenerTls(site.settings(client_ca_file=site.client_ca))
    context = site.trusting(site.clients)
    context.maximum_version = version
    async with served(tls) as port:
        session, _ = await asyncio.to_thread(met, port, context)
        session, resumed = await asyncio.to_thread(met, port, context, session)
        assert resumed
        trustme.CA().cert_pem.write_to_path(site.client_ca)
        await tls.look()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(met, port, context, session)


def met(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLSession | None, bool]:
    """The session of an answered connection, and whether it was taken up. Raises SSLError where refused."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as secured,
    ):
        secured.sendall(b"hello\n")
        if secured.recv(6) != b"hello\n":
            raise ConnectionError
        kept, resumed = secured.session, bool(secured.session_reused)
        with suppress(OSError):
            secured.unwrap()  # a session that is not ended properly is forgotten by the server
        return kept, resumed


async def admitted(port: int, context: ssl.SSLContext) -> bool:
    """Whether the server answers; TLS 1.3 refuses a client's certificate after the handshake."""
    try:
        async with connected(port, context) as client:
            return await client.answers()
    except (ssl.SSLError, ConnectionError):
        return False


async def test_the_files_are_looked_at_again_and_again(site: Site) -> None:
    """Every few seconds, until it is cancelled."""
    tls = ListenerTls(site.settings())
    slept: list[float] = []
    seen: list[bytes] = []
    async with served(tls) as port:

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            async with connected(port, site.trusting()) as client:
                seen.append(client.certificate)
            if len(slept) == 4:
                raise asyncio.CancelledError
            site.renew()

        with pytest.raises(asyncio.CancelledError):
            await tls.follow(sleep)
    assert slept == [POLL] * 4
    assert len(set(seen)) == 4
