"""The origin of a URL: scheme, host and port, checked strictly.

Only what RFC 3986 calls an absolute http or https URL with a plain host passes. Spellings that two parsers
could read differently (backslash, `127.1`, zone ids, characters outside ASCII) are refused, because a token
is sent to this origin.
"""

import ipaddress
import re
from dataclasses import dataclass

_URL = re.compile(r"(?i:(?P<scheme>https?))://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)")
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# The characters of RFC 3986, section 2; `%` has to begin an escape.
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_DEFAULT_PORT = {"http": 80, "https": 443}
_LONGEST_NAME = 253
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454)."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without brackets."""
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header: without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """`https://host`, or with a port that is not the default one."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_private(self) -> bool:
        """Whether nobody on a network can read what is sent: https, or loopback."""
        return self.scheme == "https" or is_loopback(self.host)


def parse_origin(url: str) -> Origin:
    """The origin of a URL that is nothing but an origin; a single `/` may follow.

    Raises ValueError with what is allowed, as in "must have no path"; the text never repeats the URL.
    """
    return parse_url(url, path=False)


def parse_url(
    url: str, *, path: bool = True, query: bool = False, fragment: bool = False, userinfo: bool = False
) -> Origin:
    """The origin of an absolute http or https URL; the flags say what may be there too.

    `fragment` allows a query as well. Raises ValueError like `parse_origin`.
    """
    if not (match := _URL.fullmatch(url)) or not _CHARACTERS.fullmatch(url):
        raise ValueError("must be an absolute http:// or https:// URL")
    if match["path"] not in {"", "/"} and not path:
        raise ValueError("must have no path")
    if match["rest"] and not fragment and (not query or "#" in match["rest"]):
        raise ValueError("must have no fragment" if query else "must have no query and no fragment")
    user, at, authority = match["authority"].rpartition("@")
    if at and (not userinfo or "@" in user):
        raise ValueError("must have no user name or password")
    return _origin(match["scheme"].lower(), authority)


def is_host(text: str) -> bool:
    """Whether the text is an IP address (no brackets) or a host name in ASCII."""
    if _is_address(text):
        return True
    labels = text.split(".")
    # A name whose last label is a number would be read as an IPv4 address by some resolvers.
    return (
        len(text) <= _LONGEST_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", labels[-1])
    )


def is_loopback(host: str) -> bool:
    """Whether the host is `localhost` or a loopback address, an IPv4 one in IPv6 form too."""
    if not _is_address(host):
        return host.lower() == "localhost"
    address = ipaddress.ip_address(host)
    # Asked of the address within: before Python 3.13 the one around it is never loopback.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _origin(scheme: str, authority: str) -> Origin:
    if not (match := _AUTHORITY.fullmatch(authority)):
        raise ValueError("must have a valid host and port")
    host = match["name"] or match["ipv6"]
    # Only IPv6 addresses have colons, and only they stand in brackets.
    if not is_host(host) or (match["ipv6"] and ":" not in host):
        raise ValueError("must have a valid host")
    port = int(match["port"] or _DEFAULT_PORT[scheme])
    if not 0 < port <= _HIGHEST_PORT:
        raise ValueError(f"must have a port from 1 to {_HIGHEST_PORT}")
    return Origin(scheme, str(ipaddress.IPv6Address(host)) if match["ipv6"] else host.lower(), port)
