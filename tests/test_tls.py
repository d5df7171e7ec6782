"""The data listener's certificates, which are renewed while it serves."""

import asyncio
import logging
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from gateway.config.followed import POLL
from gateway.tls import ListenerTls
from tests.support.certificates import write_certificates
from tests.support.limits import no_file_to_open
from tests.support.tls_site import Site, connected, der, served, settled


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_renewed_certificate(site: Site, name: str) -> None:
    """A new connection gets the new certificate, with a server name or without, and an old one goes on.

    Once it is taken up the files are not read again.
    """
    tls = ListenerTls(site.settings())
    async with served(tls) as port, connected(port, site.trusting(), name) as old:
        renewed = site.renew()
        await settled(tls)
        async with connected(port, site.trusting(), name) as new:
            assert new.certificate == renewed != old.certificate
            assert await new.answers()
        assert await old.answers()
        newest = tls.context.newest
        await settled(tls)
        assert tls.context.newest is newest


async def test_what_has_not_changed_is_not_read(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A look at the same files says nothing and changes nothing."""
    tls = ListenerTls(site.settings())
    with caplog.at_level(logging.INFO, "gateway.tls"):
        await settled(tls)
    assert not caplog.records


async def test_a_pair_is_replaced_file_by_file(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """While certificate and key do not match the pair before them stays in use, and that is told."""
    tls = ListenerTls(site.settings())
    before = ssl.PEM_cert_to_DER_cert(site.certificate.read_text())
    issued = site.issued()
    async with served(tls) as port:
        site.certificate.write_bytes(issued.cert_chain_pems[0].bytes())
        await settled(tls)
        async with connected(port, site.trusting()) as client:
            assert client.certificate == before
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        site.key.write_bytes(issued.private_key_pem.bytes())
        await settled(tls)
        async with connected(port, site.trusting()) as client:
            assert client.certificate == der(issued)


async def test_a_pair_that_is_being_written(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Files that changed since the look before are left alone, so that a pair under way leaves no line."""
    tls = ListenerTls(site.settings())
    issued = site.issued()
    async with served(tls) as port:
        for path, blob in ((site.certificate, issued.cert_chain_pems[0]), (site.key, issued.private_key_pem)):
            path.write_bytes(blob.bytes())
            await tls.look()
        assert not caplog.records
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
        await settled(tls)
        async with connected(port, site.trusting()) as client:
            assert client.certificate == before
        assert "No such file" in vars(caplog.records[0])["reason"]
        renewed = site.renew()
        await settled(tls)
        async with connected(port, site.trusting()) as client:
            assert client.certificate == renewed


async def test_a_fault_that_passes(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Files that could not be read for a moment are read again though they do not change, and told once."""
    tls = ListenerTls(site.settings())
    renewed = site.renew()
    with no_file_to_open():
        for _ in range(3):
            await settled(tls)
    assert [vars(record)["reason"] for record in caplog.records] == ["Too many open files"]
    async with served(tls) as port:
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
    await settled(tls)
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
        await settled(tls)
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
        await settled(tls)
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
            if len(slept) == 5:
                raise asyncio.CancelledError
            if len(slept) in {1, 3}:
                site.renew()

        with pytest.raises(asyncio.CancelledError):
            await tls.follow(sleep)
    assert slept == [POLL] * 5
    assert [len(set(seen[:count])) for count in (2, 3, 4, 5)] == [1, 2, 2, 3]
