"""Where the gateway listens and what opens it, from options, environment and file.

A person at a shell beside the gateway need not have its whole configuration: only the sections that matter
here are read, and all of them have defaults.
"""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gateway.config import ConfigurationError, Inbound, Problem, Settings, load, parse_origin, read_secret
from gateway.config.sources import Tree, Values, read_environment, read_file

_ADMIN: Final = ("admin",)
_DATA: Final = ("listen", "auth.inbound")
_UNIX: Final = "unix:"


class BadUsage(Exception):
    """What was asked for cannot be tried; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Reach:
    """One listener, and what opens it."""

    url: str
    """Its origin; of a Unix socket any, since nothing looks at it."""
    header: bytes = b""
    """Name of the header that carries the secret."""
    secret: bytes | None = field(default=None, repr=False)
    """Value of that header."""
    unix_socket: Path | None = None
    ca_file: Path | None = None
    """A CA to trust beside the system's."""

    @property
    def name(self) -> str:
        """The listener as people know it."""
        return self.url if self.unix_socket is None else f"{_UNIX}{self.unix_socket}"


def admin_reach(config: Path | None, environ: Mapping[str, str], url: str | None) -> Reach:
    """The admin listener at `url`, or where the configuration has it.

    Raises ConfigurationError for what is wrong in the sections that are read, BadUsage for a bad URL.
    """
    admin = _settings(config, environ, _ADMIN).admin
    secret = None if admin.token is None else f"Bearer {admin.token.get_secret_value()}".encode()
    origin = _origin("--admin", url) if url else _address("admin", "--admin", admin.host, admin.port)
    return Reach(origin, b"authorization", secret)


def data_reach(
    config: Path | None,
    environ: Mapping[str, str],
    url: str | None,
    *,
    key_file: Path | None,
    ca_file: Path | None,
) -> Reach:
    """The data listener at `url` (or `unix:/path`), or where the configuration has it.

    The shared key is that of `key_file`, else the first one of the configuration. Raises like `admin_reach`,
    BadUsage also for a key file that cannot be read.
    """
    settings = _settings(config, environ, _DATA)
    listen, inbound = settings.listen, settings.auth.inbound
    socket = Path(url.removeprefix(_UNIX)) if url and url.startswith(_UNIX) else None
    if url is None:
        socket = listen.unix_socket
    if socket is not None:
        origin = "http://localhost"
    elif url:
        origin = _origin("--gateway", url)
    else:
        scheme = "https" if listen.tls.certificate_file else "http"
        origin = _address("listen", "--gateway", listen.host, listen.port, scheme)
    key = _key(inbound, key_file)
    return Reach(origin, inbound.header.encode(), key, unix_socket=socket, ca_file=ca_file)


def _settings(config: Path | None, environ: Mapping[str, str], sections: tuple[str, ...]) -> Settings:
    """The settings with defaults outside these sections, whatever is missing or wrong there."""

    def matters(problem: Problem) -> bool:
        return any(f"{problem.key}.".startswith(f"{section}.") for section in sections)

    variables = read_environment(environ)
    if misread := [problem for problem in variables.problems if matters(problem)]:
        raise ConfigurationError(misread)
    tree = Values(str(config), read_file(config) if config else {}, variables).merged()
    part: Tree = {"upstream": {"base_url": ""}}
    for section in sections:
        _graft(part, tree, section.split("."))
    try:
        return Settings.model_validate_json(json.dumps(part, default=repr), strict=True)
    except ValueError:
        problems = _problems(config, environ)
        raise ConfigurationError([problem for problem in problems if matters(problem)]) from None


def _graft(part: Tree, tree: Tree, path: list[str]) -> None:
    """Put what the tree has at this path, if anything, at the same place of the part."""
    value: Any = tree
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return
        value = value[name]
    for name in path[:-1]:
        part = part.setdefault(name, {})
    part[path[-1]] = value


def _problems(config: Path | None, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """All that is wrong with the whole configuration."""
    try:
        load(config, environ)
    except ConfigurationError as error:
        return error.problems
    raise AssertionError("a valid configuration has a part that is not")


def _origin(option: str, url: str) -> str:
    try:
        return parse_origin(url).text
    except ValueError as error:
        raise BadUsage(f"{option}: {error}") from None


def _address(section: str, option: str, host: str, port: int, scheme: str = "http") -> str:
    """The origin of a listener on this machine."""
    if port == 0:
        raise BadUsage(
            f"{section}.port is 0, so the gateway took a free one and logged it: name it with {option}"
        )
    return f"{scheme}://{_reachable(host)}:{port}"


def _reachable(host: str) -> str:
    """The host as it stands in a URL; loopback where the listener has every address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")  # noqa: PLR2004 - IPv6
    return f"[{address}]" if ":" in str(address) else str(address)


def _key(inbound: Inbound, key_file: Path | None) -> bytes | None:
    """The shared key: of this file, else the first that the configuration has."""
    if key_file is None and inbound.keys:
        return next(iter(inbound.keys.values())).get_secret_value().encode()
    path = key_file or next(iter(inbound.key_files.values()), None)
    if path is None:
        return None
    option = "--key-file" if key_file else "auth.inbound.key_files"
    try:
        return read_secret(path).get_secret_value().encode()
    except OSError as error:
        raise BadUsage(f"{option}: the file cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadUsage(f"{option}: {error}") from None
