"""The way to a connection of the asyncio engine: names, addresses, a proxy's tunnel, TLS.

Whatever fails here has sent nothing of a request.
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from urllib.parse import unquote, urlsplit

import aiohappyeyeballs

from gateway import failures
from gateway.upstream.connection import Connection
from gateway.upstream.response_head import BadHead, ResponseHead
from gateway.upstream.trust import Trust

_NEXT_ADDRESS = 0.25
"""Seconds after which the next address is tried beside the one before (RFC 8305, section 5)."""
_CLOSING = 2.0
"""Seconds in which a peer may answer a closure alert of TLS."""
_PORTS = {"http": 80, "https": 443}
_TUNNELLED = 200


class Peer:
    """An origin or a proxy, from its URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.secured = parts.scheme == "https"
        self.port = parts.port or _PORTS[parts.scheme]
        self.credentials = b""
        """The value of Proxy-Authorization; empty where the URL has no user."""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.credentials = b"Basic " + b64encode(pair.encode())

    @property
    def authority(self) -> bytes:
        """Host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}".encode("ascii")


class Dialler:
    """Makes connections to one origin."""

    def __init__(self, origin: Peer, proxy: Peer | None, *, trust: Trust | None, timeout: float) -> None:
        """A connection is there within `timeout` seconds; `trust` is there where anything has TLS."""
        self._origin = origin
        self._proxy = proxy
        self._trust = trust
        self._timeout = timeout

    async def connect(self, connection: Connection) -> None:
        """Connect it. Raises UpstreamUnreachable."""
        try:
            async with asyncio.timeout(self._timeout):
                tls = None if self._trust is None else await self._trust.context()
                if self._proxy is not None and tls is not None and self._origin.secured:
                    await self._through(self._proxy, connection, tls)
                else:
                    await _reach(self._proxy or self._origin, connection, tls)
        except (OSError, RuntimeError, EOFError, UnicodeError, asyncio.LimitOverrunError, BadHead) as error:
            raise failures.UpstreamUnreachable(
                "The upstream cannot be reached.", inner=_cause(error), retry_after=1
            ) from error

    async def _through(self, proxy: Peer, connection: Connection, tls: ssl.SSLContext) -> None:
        """Connect through a tunnel of the proxy's (RFC 9110, section 9.3.6)."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        tunnel = await _reach(proxy, asyncio.StreamReaderProtocol(reader), tls)
        try:
            lines = [b"CONNECT %b HTTP/1.1" % self._origin.authority, b"host: " + self._origin.authority]
            if proxy.credentials:
                lines.append(b"proxy-authorization: " + proxy.credentials)
            tunnel.write(b"\r\n".join([*lines, b"", b""]))
            _check_tunnel(await reader.readuntil(b"\r\n\r\n"))
            secured = await loop.start_tls(
                tunnel, connection, tls, server_hostname=self._origin.host, ssl_shutdown_timeout=_CLOSING
            )
        except BaseException:
            tunnel.abort()
            raise
        if secured is None:  # how asyncio's own loop says that it ended meanwhile
            raise ConnectionResetError
        connection.connection_made(secured)


def _check_tunnel(answer: bytes) -> None:
    """Raise ConnectionError or BadHead where the proxy builds none."""
    head = ResponseHead()
    head.feed(answer)
    if not head.complete or head.status != _TUNNELLED:
        raise ConnectionError("the proxy builds no tunnel")


async def _reach(peer: Peer, protocol: asyncio.BaseProtocol, tls: ssl.SSLContext | None) -> asyncio.Transport:
    """A connection to the address of `peer` that answers first."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
    opened = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport, _ = await loop.create_connection(
            lambda: protocol,
            sock=opened,
            ssl=tls if peer.secured else None,
            server_hostname=peer.host if peer.secured else None,
            ssl_shutdown_timeout=_CLOSING if peer.secured else None,
        )
    except BaseException:
        opened.close()
        raise
    return transport


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "ConnectTimeout"
    if isinstance(error, socket.gaierror | UnicodeError):  # a label that is too long is no OSError
        return "NameResolution"
    if isinstance(error, ssl.SSLError):
        return "Tls"
    return "ConnectionRefused" if isinstance(error, ConnectionRefusedError) else "Connect"
