"""Whether the gateway's own ports are free: good to know before `serve`, and no failure.

A port is tried by binding it without listening, and let go at once.
"""

import asyncio
import errno
import os
import socket
import ssl
from pathlib import Path
from typing import Final

import httpx

from gateway.config import Settings
from gateway.online.finding import Finding, noted

_PATIENCE: Final = 2.0
"""Seconds for the listener of a gateway that runs here."""
_NOBODY: Final = "no host"
"""No valid Host, so the data listener refuses it whatever it allows."""
_BY_GATEWAY: Final = "in use by a running gateway"
_ORIGIN: Final = "x-gateway-error-origin"


async def look_at_listeners(settings: Settings) -> Finding:
    """One line for each listener: free, in use and by whom, or why it cannot be had."""
    listen, admin = settings.listen, settings.admin
    admin_line = f"admin {_name(admin.host, admin.port)}: {await _state(admin.host, admin.port)}"
    if listen.unix_socket is not None:
        data = f"data {listen.unix_socket}: {await _socket_state(listen.unix_socket)}"
    else:
        scheme = "http" if listen.tls.certificate_file is None else "https"
        state = await _state(listen.host, listen.port, scheme, hidden=listen.tls.client_ca_file is not None)
        data = f"data {_name(listen.host, listen.port)}: {state}"
    return noted("the gateway's own ports", data, admin_line)


async def _state(host: str, port: int, scheme: str = "http", *, hidden: bool = False) -> str:
    """`hidden`: whoever listens there answers only clients that show a certificate."""
    if port == 0:
        return "a free port, taken at start"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        return f"not an address of this machine: {error.strerror}"
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - an address to compare with
            ours = await _is_gateway(f"{scheme}://{_name(near, port)}")
            return _BY_GATEWAY if ours else "in use" if hidden else "in use by another program"
        return f"cannot be had: {os.strerror(error.errno or 0)}"
    return "free"


async def _socket_state(path: Path) -> str:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return "free"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    return _BY_GATEWAY if await _is_gateway("http://localhost", path) else "in use"


async def _is_gateway(origin: str, path: Path | None = None) -> bool:
    """Whether a gateway's listener answers there, data or admin: it marks its errors as its own.

    No gateway sends on what is asked for. Nothing is said that only some may know, so whose certificate it
    is does not matter.
    """
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    transport = httpx.AsyncHTTPTransport(
        verify=anyone, trust_env=False, uds=None if path is None else str(path)
    )
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            httpx.AsyncClient(transport=transport, timeout=_PATIENCE) as client,
            client.stream("GET", f"{origin}/livez/none", headers={"host": _NOBODY}) as response,
        ):
            mark: str | None = response.headers.get(_ORIGIN)
            return mark == "gateway"
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return False


def _name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
