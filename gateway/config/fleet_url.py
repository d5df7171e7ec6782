"""The URL of a fleet's store: one server, Sentinels that know it, or the seeds of a Cluster.

redis://[[user]:password@]host[:port][/database]           rediss:// with TLS
redis+sentinel://[…@]host[:port][,…]/service[/database]    rediss+sentinel:// with TLS
redis+cluster://[…@]host[:port][,…]                        rediss+cluster:// with TLS
unix://[…@]/path/of/the.sock
"""

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote

from gateway.config.origin import is_host, is_loopback

Mode = Literal["single", "sentinel", "cluster"]

_SCHEMES: Final[dict[str, tuple[Mode, bool]]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "unix": ("single", False),
}
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26_379
_HIGHEST_PORT: Final = 65_535
_HIGHEST_DATABASE: Final = 9_999
_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CHARACTERS: Final = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class FleetUrl:
    """Where a fleet's store is, and who asks it."""

    mode: Mode
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    """The server, or the Sentinels or Cluster nodes to ask for it; empty with `socket`."""
    socket: str | None
    """Path of a Unix socket."""
    service: str
    """The name by which the Sentinels know the server; empty in other modes."""
    database: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @property
    def shown(self) -> str:
        """The URL without user name and password."""
        if self.socket is not None:
            return f"unix://{self.socket}"
        scheme = next(name for name, of in _SCHEMES.items() if of == (self.mode, self.tls))
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        path = "/".join(part for part in (self.service, str(self.database or "")) if part)
        return f"{scheme}://{hosts}/{path}" if path else f"{scheme}://{hosts}"

    @property
    def is_private(self) -> bool:
        """Whether nobody on a network can read what is sent: TLS, loopback, or a Unix socket."""
        return self.tls or all(is_loopback(host) for host, _ in self.hosts)


def parse_fleet_url(url: str) -> FleetUrl:
    """Take the URL apart. Raises ValueError with what is allowed; the text never repeats the URL."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        allowed = ", ".join(f"{name}://" for name in _SCHEMES)
        raise ValueError(f"must begin with one of {allowed}")
    if not _CHARACTERS.fullmatch(rest):
        raise ValueError("must be ASCII without spaces, other characters as %XX")
    if "?" in rest or "#" in rest:
        raise ValueError("must have no query and no fragment; in a password ? is %3F and # is %23")
    mode, tls = _SCHEMES[scheme.lower()]
    authority, slash, path = rest.partition("/")
    if "@" in path and scheme.lower() != "unix":
        raise ValueError("must have nothing with @ behind its first /; in a password / is %2F and @ is %40")
    user, at, hosts = authority.rpartition("@")
    username, password = _credentials(user) if at else (None, None)
    if scheme.lower() == "unix":
        if hosts or len(path) < 1:
            raise ValueError("must have the absolute path of a socket, as in unix:///run/valkey.sock")
        return FleetUrl(mode, tls, (), unquote(slash + path), "", 0, username, password)
    port = _SENTINEL_PORT if mode == "sentinel" else _PORT
    service, database = _path(mode, path)
    found = tuple(_host(text, port) for text in hosts.split(","))
    if mode == "single" and len(found) > 1:
        raise ValueError("must have one host; several need +sentinel or +cluster")
    return FleetUrl(mode, tls, found, None, service, database, username, password)


def _credentials(text: str) -> tuple[str | None, str | None]:
    if "@" in text:
        raise ValueError("must have @ in a user name or password as %40")
    user, _, password = text.partition(":")
    return unquote(user) or None, unquote(password) or None


def _path(mode: Mode, path: str) -> tuple[str, int]:
    """The service and the database that the path names."""
    if mode == "cluster":
        if path:
            raise ValueError("must have no path: a Cluster has one database")
        return "", 0
    service, slash, database = path.partition("/") if mode == "sentinel" else ("", "", path)
    if mode == "sentinel" and not _SERVICE.fullmatch(service):
        raise ValueError(
            "must name the service that the Sentinels watch, as in redis+sentinel://host/mymaster"
        )
    if (database or slash) and not (database.isdecimal() and int(database) <= _HIGHEST_DATABASE):
        raise ValueError(f"must have a database from 0 to {_HIGHEST_DATABASE} as its path, or none")
    return service, int(database or 0)


def _host(text: str, default: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if (
        not match
        or not is_host(host := match["name"] or match["ipv6"])
        or (match["ipv6"] and ":" not in host)
    ):
        raise ValueError("must have valid hosts, each with a port or none, and commas between them")
    port = int(match["port"] or default)
    if not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"must have a port from 1 to {_HIGHEST_PORT}")
    return host.lower(), port
