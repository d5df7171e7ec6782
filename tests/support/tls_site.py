"""A TLS listener whose files are renewed, and clients of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import trustme

from gateway.config import ListenTls
from gateway.tls import ListenerTls


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


async def settled(tls: ListenerTls) -> None:
    """Look until what was written counts: it has to keep still from one look to the next."""
    await tls.look()
    await tls.look()


def der(issued: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


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
