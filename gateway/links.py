"""`nextLink`, `Operation-Location` and `Location` lead back to the gateway.

SDKs follow absolute links with the app's own credentials, straight past the gateway. So a link whose origin
is the upstream's gets the gateway's base in place of that origin; its path and query stay as they are, byte
by byte, and so does everything around it. Links to any other origin are not touched.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

import msgspec

from gateway.exchange import RawHeaders

LINK_HEADERS = frozenset({b"operation-location", b"location"})

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Without userinfo: an authority with "@" does not match. RFC 3986, section 3.2.
_ABSOLUTE = re.compile(
    rb"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::([0-9]{0,5}))?(?=[/?#]|\Z)", re.IGNORECASE
)
_ROOTED = re.compile(rb"/(?![/\\])")
_KEY = b'"nextLink"'
_BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_MEMBER = re.compile(rb'"nextLink"\s*+:\s*+"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_UNIT = re.compile(rb"\\u([0-9a-fA-F]{4})|\\(.)|.", re.DOTALL)
_LONGEST_ORIGIN = 300
"""Characters: a scheme, 253 of a host name, a port."""
_MAX_FOUND = 1_024
"""Pages of which it is remembered where their link is."""
_Places = tuple[tuple[int, int], ...]
"""Where something begins and ends, each."""


class OriginLike(Protocol):
    """Scheme, host and port of the upstream (RFC 6454)."""

    @property
    def scheme(self) -> str:
        """`http` or `https`."""

    @property
    def host(self) -> str:
        """Name or address, with or without brackets."""

    @property
    def port(self) -> int:
        """The port, the default one too."""


def absolute(value: bytes, origin: OriginLike, base: bytes) -> bytes | None:
    """A link in a header as an absolute link to the gateway; None where it has to stay as it is.

    `base` is scheme and authority of the gateway. A link that starts with a single "/" becomes absolute too,
    because the SDK's poller cannot follow a relative one.
    """
    if _ROOTED.match(value):
        return base.rstrip(b"/") + value
    end = _origin_end(value, origin)
    return None if end is None else base.rstrip(b"/") + value[end:]


def rewrite_headers(headers: RawHeaders, origin: OriginLike, base: bytes) -> RawHeaders:
    """The headers with `Operation-Location` and `Location` leading to the gateway."""
    return [
        (name, absolute(value, origin, base) or value) if name in LINK_HEADERS else (name, value)
        for name, value in headers
    ]


class NextLinks:
    """Has the pages' own `nextLink` lead to the gateway; those inside their items stay.

    A relative `nextLink` stays, since clients resolve it against the gateway. A body that is not JSON stays.
    """

    def __init__(self, origin: OriginLike) -> None:
        self._origin = origin
        self._found: dict[bytes, _Places] = {}

    def rewrite(self, body: bytes, base: bytes, digest: bytes | None = None) -> bytes:
        """The page, itself where nothing changes; one whose digest is given is searched once."""
        if digest is None:
            return _replaced(body, _origins(body, self._origin), base)
        places = self._found.get(digest)
        if places is None:
            places = _origins(body, self._origin)
            if len(self._found) >= _MAX_FOUND:
                self._found.clear()
            if len(places) <= 1:
                self._found[digest] = places
        return _replaced(body, places, base)


def _origins(body: bytes, origin: OriginLike) -> _Places:
    """Where the upstream's origin stands in the page's own links, the last one first."""
    places: list[tuple[int, int]] = []
    depth = 0
    seen = len(body)
    for member in _members(body):
        # Only a page that has a link is worth reading: to find none in 64 KB takes 15 us, to read them 70.
        if seen == len(body) and not _is_json(body):
            return ()
        depth += _closed(body[member.end() : seen])
        seen = member.start()
        if depth == 1 and (end := _origin_ends(member[1], origin)) is not None:
            places.append((member.start(1), member.start(1) + end))
    return tuple(places)


def _replaced(body: bytes, places: _Places, base: bytes) -> bytes:
    if not places:
        return body
    escaped = msgspec.json.encode(base.rstrip(b"/").decode())[1:-1]
    pieces: list[bytes] = []
    cut = len(body)
    for start, end in places:
        pieces += body[end:cut], escaped
        cut = start
    return b"".join([body[:cut], *reversed(pieces)])


def _members(body: bytes) -> Iterator[re.Match[bytes]]:
    """Members named nextLink with a string value at any depth, the last one first: pages end with theirs.

    In valid JSON a quote that follows a backslash opens no string, and no name follows a closing quote.
    """
    at = len(body)
    while (at := body.rfind(_KEY, 0, at)) >= 0:
        member = _MEMBER.match(body, at)
        if member is not None and body[at - 1 : at] != b"\\":
            yield member


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body.removeprefix(_BOM), type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _closed(stretch: bytes) -> int:
    """How many containers a stretch of whole JSON tokens closes and does not open."""
    bare = _STRING.sub(b"", stretch)
    return bare.count(b"}") + bare.count(b"]") - bare.count(b"{") - bare.count(b"[")


def _origin_ends(escaped: bytes, origin: OriginLike) -> int | None:
    """Where the upstream's origin ends inside a JSON string; None for any other link."""
    start = escaped[:_LONGEST_ORIGIN]
    plain = start.partition(b"\\")[0]
    end = _origin_end(plain, origin)
    if len(plain) == len(start) or (end is not None and end < len(plain)):
        return end  # no escape stands before it, or right behind it
    ends: list[int] = []
    text = bytearray()
    for unit in islice(_UNIT.finditer(escaped), _LONGEST_ORIGIN):
        text.append(_character(unit))
        ends.append(unit.end())
    end = _origin_end(bytes(text), origin)
    return None if end is None else ends[end - 1]


def _character(unit: re.Match[bytes]) -> int:
    """The character a unit of a JSON string stands for; 0 for those that no origin has."""
    if unit[1]:
        code = int(unit[1], 16)
        return code if code.bit_length() <= 7 else 0  # noqa: PLR2004 - ASCII
    if unit[2]:
        return unit[2][0] if unit[2] in b'/\\"' else 0
    return unit[0][0]


def _origin_end(value: bytes, origin: OriginLike) -> int | None:
    """Where the origin ends in an absolute link to it; None for any other link."""
    match = _ABSOLUTE.match(value)
    if match is None:
        return None
    scheme = match[1].decode().lower()
    port = int(match[3]) if match[3] else _DEFAULT_PORTS[scheme]
    host = match[2].decode().lower().strip("[]")
    same = (scheme, host, port) == (origin.scheme.lower(), origin.host.lower().strip("[]"), origin.port)
    return match.end() if same else None
