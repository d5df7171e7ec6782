"""Rules of `listen` and `admin`: addresses, TLS, and who may reach the data listener."""

import ipaddress
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.config.files import authorities_fault, content_fault, key_fault
from gateway.config.origin import is_host, is_loopback
from gateway.config.problem import Problem
from gateway.config.rules.given import Given, origin_fault

_LONGEST_SOCKET_PATH = 107
"""Bytes; `sun_path` of Linux (unix(7)) less the final zero."""


def listen_host(given: Given) -> Iterator[Problem]:
    """The data listener's address is one."""
    yield from _address(given, "listen.host", given.settings.listen.host)


def admin_host(given: Given) -> Iterator[Problem]:
    """The admin listener's address is one."""
    yield from _address(given, "admin.host", given.settings.admin.host)


def exposure(given: Given) -> Iterator[Problem]:
    """Whoever reaches the data listener acts with the gateway's token: beyond loopback they must say who."""
    listen, inbound = given.settings.listen, given.settings.auth.inbound
    if listen.unix_socket or is_loopback(listen.host) or not is_host(listen.host):
        return
    if not (inbound.keys or inbound.key_files or listen.tls.client_ca_file):
        yield given.problem(
            "listen.host",
            "must be loopback unless auth.inbound.keys, auth.inbound.key_files or"
            " listen.tls.client_ca_file is set",
        )


def ports(given: Given) -> Iterator[Problem]:
    """Data and admin listener do not want the same port."""
    listen, admin = given.settings.listen, given.settings.admin
    if listen.unix_socket or listen.port == 0 or listen.port != admin.port:
        return
    if _overlap(listen.host, admin.host):
        yield given.problem("admin.port", "must differ from listen.port where both listen on the same host")


def unix_socket(given: Given) -> Iterator[Problem]:
    """The socket can be made."""
    path = given.settings.listen.unix_socket
    if path is not None:
        yield from given.fault("listen.unix_socket", _socket_fault(path))


def public_base_url(given: Given) -> Iterator[Problem]:
    """Links can be built on the base."""
    url = given.settings.listen.public_base_url
    if url is not None:
        yield from given.fault("listen.public_base_url", origin_fault(url))


def allowed_hosts(given: Given) -> Iterator[Problem]:
    """The allow-list has host names without ports, and at least one."""
    hosts = given.settings.listen.allowed_hosts
    if hosts is None:
        return
    if not hosts:
        yield given.problem("listen.allowed_hosts", "must name at least one host; unset it for the default")
    for number, host in enumerate(hosts, 1):
        if not is_host(host):
            yield given.problem(
                "listen.allowed_hosts",
                f"item {number} must be a host name or an IP address, without port or brackets",
            )


def certificate(given: Given) -> Iterator[Problem]:
    """Certificate and key come together, are readable and belong to each other."""
    tls = given.settings.listen.tls
    faults = {}
    for name, path, other in (
        ("certificate_file", tls.certificate_file, tls.key_file),
        ("key_file", tls.key_file, tls.certificate_file),
    ):
        if path is None and other is not None:
            faults[name] = "is required where the other of certificate_file and key_file is set"
        elif path is not None and (fault := content_fault(path)):
            faults[name] = fault
    if tls.certificate_file and tls.key_file and not faults:
        faults = _pair_faults(tls.certificate_file, tls.key_file)
    for name, fault in faults.items():
        yield given.problem(f"listen.tls.{name}", fault)


def client_ca(given: Given) -> Iterator[Problem]:
    """Client certificates need a CA, and TLS to begin with."""
    tls = given.settings.listen.tls
    if tls.client_ca_file is None:
        return
    yield from given.fault("listen.tls.client_ca_file", authorities_fault(tls.client_ca_file))
    if tls.certificate_file is None and tls.key_file is None:
        yield given.problem("listen.tls.client_ca_file", "needs certificate_file and key_file as well")


def _address(given: Given, key: str, host: str) -> Iterator[Problem]:
    if not is_host(host):
        yield given.problem(key, "must be an IP address, without brackets, or a host name")


def _overlap(one: str, other: str) -> bool:
    hosts = {one.lower(), other.lower()}
    return (
        len(hosts) == 1
        or any(_is_any(host) for host in hosts)
        or ("localhost" in hosts and all(is_loopback(host) for host in hosts))
    )


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _pair_faults(certificate_file: Path, key_file: Path) -> dict[str, str]:
    if fault := authorities_fault(certificate_file):
        return {"certificate_file": fault}
    fault = key_fault(certificate_file, key_file)
    return {"key_file": fault} if fault else {}


def _socket_fault(path: Path) -> str | None:
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        return f"must be at most {_LONGEST_SOCKET_PATH} bytes long"
    try:
        if not path.parent.is_dir():
            return "must be in a directory that exists"
        # A socket left by an earlier run may be replaced; anything else is somebody's file.
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            return "must not be a file that is no socket"
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    except ValueError:
        return "the path is not valid"
    return None
