"""The origin that a token is sent to is read as every other parser reads it, or not at all."""

import ipaddress
from urllib.parse import urlsplit

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.origin import Origin, is_host, is_loopback, parse_origin, parse_url

PIECES = st.sampled_from(
    [
        "http",
        "https",
        "HTTPS",
        "://",
        ":",
        "/",
        "//",
        "\\",
        "@",
        "?",
        "#",
        "%",
        "%2e",
        "[",
        "]",
        "::1",
        "[::1]",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "localhost",
        "a.example",
        "evil",
        "user:pw",
        "0",
        "80",
        "443",
        "65535",
        "65536",
        "é",
        "\t",
        "\n",
        ".",
        "..",
        "-",
        "_",
        "~",
        ";",
        "&",
        "'",
        "\uff05",
        "\uff61",
    ]
)
URLS = st.text(max_size=30) | st.lists(PIECES, max_size=9).map("".join)
LIKELY = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https", "HtTp"]),
    URLS,
    st.sampled_from(["", ":80", ":0"]),
    URLS,
)


def read(url: str) -> Origin | None:
    try:
        return parse_url(url, query=True, fragment=True, userinfo=True)
    except ValueError:
        return None


@given(URLS | LIKELY)
@example("https://a.example@b.example:80@c")
@example("http://[::ffff:127.0.0.1]")
def test_other_parsers_see_the_same_origin(url: str) -> None:
    """What is accepted has the scheme, host and port that urllib and httpx see; all else is a ValueError."""
    origin = read(url)
    if origin is None:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.port or origin.port) == (origin.scheme, origin.port)
    seen = httpx.URL(url)
    assert (seen.scheme, seen.port or origin.port) == (origin.scheme, origin.port)
    for host in (parts.hostname or "", seen.host):
        assert host == origin.host or ipaddress.ip_address(host) == ipaddress.ip_address(origin.host)
    assert 0 < origin.port <= 65_535
    assert is_host(origin.host)


@given(URLS | LIKELY)
def test_an_origin_reads_back_as_itself(url: str) -> None:
    """Its text is an origin, the same one, that can stand in a header."""
    origin = read(url)
    if origin is not None:
        assert parse_origin(origin.text) == origin
        assert origin.text.isascii()
        assert origin.text.isprintable()
        assert not set(origin.authority) & set("/@?# \\")


@given(URLS | LIKELY)
def test_an_origin_is_nothing_but_an_origin(url: str) -> None:
    """What the configuration of the upstream accepts has no path, query, fragment or user in it."""
    try:
        origin = parse_origin(url)
    except ValueError:
        return
    rest = url.lower().removeprefix(origin.scheme).removeprefix("://").removesuffix("/")
    assert not set(rest) & set("/@?#\\")


@given(st.ip_addresses())
def test_loopback_is_what_the_standard_library_calls_so(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """An address counts as private exactly where it leads to this machine."""
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert is_loopback(str(address)) == mapped.is_loopback
    assert is_host(str(address))
