"""The open sockets of both listeners, before anything is served."""

import socket
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Settings, is_loopback

BACKLOG = 2048
"""Connections that may wait to be accepted."""
_SOCKET_MODE = 0o660


class ListenError(Exception):
    """A listener cannot be opened; the message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway can be reached."""

    data: str
    """http://127.0.0.1:8080, or unix:/path."""
    admin: str


class Listeners:
    """The open sockets of both listeners, before anything is served."""

    def __init__(self, settings: Settings) -> None:
        """Raises ListenError when an address is taken or not available."""
        listen, admin = settings.listen, settings.admin
        self.data = (
            _unix_socket(listen.unix_socket)
            if listen.unix_socket is not None
            else _tcp_socket(listen.host, listen.port, "listen")
        )
        try:
            self.admin = _tcp_socket(admin.host, admin.port, "admin")
        except ListenError:
            self.data.close()
            raise
        self._unix_path = listen.unix_socket
        scheme = "https" if listen.tls.certificate_file else "http"
        data = f"unix:{listen.unix_socket}" if listen.unix_socket else f"{scheme}://{_name(self.data)}"
        self.addresses = Addresses(data=data, admin=f"http://{_name(self.admin)}")

    def close(self) -> None:
        """Close what is still open, and remove the Unix socket's file."""
        self.data.close()
        self.admin.close()
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)


def _tcp_socket(host: str, port: int, section: str) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise ListenError(f"{section}: {host} is not an address of this machine: {error.strerror}") from None
    if leads_elsewhere(host, str(address[0])):
        listener.close()
        raise ListenError(
            f"{section}: {host} is {address[0]} here, which is not loopback; set {section}.host to 127.0.0.1"
        )
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(
            f"{section}.port: cannot listen on {host}:{port}: {error.strerror}; "
            f"set {section}.host or {section}.port, or stop what uses it"
        ) from None
    return listener


def leads_elsewhere(host: str, address: str) -> bool:
    """Whether a name for this machine alone stands for an address that others reach (RFC 6761, 6.3).

    What may listen on loopback needs no authentication, so the name's word is not taken for it.
    """
    return is_loopback(host) and not is_loopback(address)


def _unix_socket(path: Path) -> socket.socket:
    """A socket file that only owner and group can use; a stale file of an ended process is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(_SOCKET_MODE)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"listen.unix_socket: cannot listen on {path}: {error.strerror}") from None
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _name(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return str(listener.getsockname())
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
