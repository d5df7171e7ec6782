"""Hosts as a certificate names them, and the names that a CA is bound to.

A CA that clients trust could vouch for every site to them. So ours is made with name constraints (RFC 5280,
section 4.2.1.10): a leaked key is good for these hosts and loopback only. Every kind of name that a TLS
client looks at is constrained: a kind that is left out would be free.
"""

import ipaddress
from collections.abc import Iterable, Sequence

from cryptography import x509

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""What a listener has unless told otherwise."""

_NETWORKS = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128")))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def general_name(host: str) -> x509.DNSName | x509.IPAddress:
    """The host as a subject alternative name; an address without brackets, or a name in ASCII."""
    address = _address(host)
    return x509.DNSName(host) if address is None else x509.IPAddress(address)


def hosts_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The hosts that the certificate is for; none where it names none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))


def constraints(hosts: Iterable[str]) -> x509.NameConstraints:
    """Loopback and these hosts; a host's name permits what is below it too."""
    names: dict[str, None] = {"localhost": None} | {host: None for host in hosts if _address(host) is None}
    # Whether `::ffff:127.0.0.1` is loopback depends on Python's version; no network above has it.
    beyond = [
        ipaddress.ip_network(address)
        for address in map(_address, hosts)
        if address is not None and not any(address in network for network in _NETWORKS)
    ]
    return x509.NameConstraints(
        permitted_subtrees=[
            *map(x509.DNSName, names),
            *map(x509.IPAddress, dict.fromkeys((*_NETWORKS, *beyond))),
        ],
        excluded_subtrees=None,
    )


def outside(certificate: x509.Certificate, hosts: Sequence[str]) -> tuple[str, ...]:
    """The hosts that this CA must not sign for; a CA without constraints may sign for all."""
    try:
        bound = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return ()
    permitted = bound.permitted_subtrees or ()
    return tuple(host for host in hosts if not any(_covers(subtree, host) for subtree in permitted))


def _covers(subtree: x509.GeneralName, host: str) -> bool:
    address = _address(host)
    if isinstance(subtree, x509.IPAddress) and address is not None:
        network = subtree.value
        return isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network) and address in network
    if isinstance(subtree, x509.DNSName) and address is None:
        return f".{host}".endswith(f".{subtree.value}")
    return False


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
