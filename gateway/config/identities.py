"""What tells callers apart: shared keys, and the names in client certificates.

Rules and listener read both alike, so what is listed can be shown, and nothing else matches it.
"""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from gateway.config.files import read_secret
from gateway.config.origin import is_host

_SHORTEST_KEY = 16
_KEY = re.compile(r"[!-~]+")
"""What passes in a header unchanged."""
_LONGEST_NAME = 256
_URI = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|urn:)[!-+\--~]+")
_EMAIL = re.compile(r"([!-+\--9;-?A-~]+)@([A-Za-z0-9.-]+)")
"""Neither has spaces or commas, which would make two names of one in the log."""


def key_faults(key: str) -> Iterator[str]:
    """Why a shared key cannot be used, as ends of a sentence; nothing where it can."""
    if len(key) < _SHORTEST_KEY:
        yield f"must be at least {_SHORTEST_KEY} characters long"
    if not _KEY.fullmatch(key):
        yield "must be printable ASCII without spaces"


def read_key(path: Path) -> SecretStr:
    """The shared key in a file. Raises OSError or ValueError where it cannot be used."""
    key = read_secret(path)
    for fault in key_faults(key.get_secret_value()):
        raise ValueError(f"the key {fault}")
    return key


def listed_name(text: str) -> str | None:
    """A name of `auth.inbound.client_names` as `shown_name` gives it; None where it can never be shown."""
    kinds = ("IP Address", "URI", "email", "DNS")
    return next((name for kind in kinds if (name := shown_name(kind, text))), None)


def shown_name(kind: str, value: str) -> str | None:
    """A subjectAltName of a certificate, as `ssl.SSLSocket.getpeercert` tells it, in the form to compare.

    DNS names and the domain of an e-mail address are in lower case, IP addresses in their shortest form. None
    for everything else: other kinds, wildcards, control characters, more than 256 characters. No two kinds
    have a form in common, so that a name of one kind never passes for one of another.
    """
    if len(value) > _LONGEST_NAME or not value.isascii():
        return None
    match kind:
        case "DNS" if is_host(value) and ":" not in value and _address(value) is None:
            return value.lower()
        case "URI" if _URI.fullmatch(value):
            return value
        case "email" if found := _EMAIL.fullmatch(value):
            return f"{found[1]}@{found[2].lower()}"
        case "IP Address":
            return _address(value)
        case _:
            return None


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else str(address)  # a zone id (RFC 4007) is not in certificates
