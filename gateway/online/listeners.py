"""Whether the gateway's own ports are free: good to know before `serve`, and no failure.

A port is tried by binding it without listening, and let go at once.
"""

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
"""Seconds for the admin listener of a gateway that runs here."""
_ORIGIN: Final = "x-gateway-error-origin"


async def look_at_listeners(settings: Settings) -> Finding:
    """One line for each listener: free, in use by a running gateway, in use, or why it cannot be had."""
    listen, admin = settings.listen, settings.admin
    running = await _is_gateway(admin.host, admin.port)
    admin_line = f"admin {_name(admin.host, admin.port)}: {_state(admin.host, admin.port, running=running)}"
    if listen.unix_socket is not None:
        data = f"data {listen.unix_socket}: {_socket_state(listen.unix_socket, running=running)}"
    else:
        data = f"data {_name(listen.host, listen.port)}: {_state(listen.host, listen.port, running=running)}"
    return noted("the gateway's own ports", data, admin_line)


def _state(host: str, port: int, *, running: bool) -> str:
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
            return _taken(running=running)
        return f"cannot be had: {os.strerror(error.errno or 0)}"
    return "free"


def _socket_state(path: Path, *, running: bool) -> str:
    try:
        path.lstat()
    except FileNotFoundError:
        return "free"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    return _taken(running=running)


def _taken(*, running: bool) -> str:
    return "in use by a running gateway" if running else "in use"


async def _is_gateway(host: str, port: int) -> bool:
    """Whether a gateway's admin listener answers there: it marks its errors as its own."""
    if port == 0:
        return False
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - an address to compare with
    try:
        async with (
            httpx.AsyncClient(
                trust_env=False, timeout=_PATIENCE, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ) as client,
            client.stream("GET", f"http://{_name(near, port)}/livez/none") as response,
        ):
            origin: str | None = response.headers.get(_ORIGIN)
            return origin == "gateway"
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def _name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
