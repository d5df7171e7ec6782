"""The origin of a URL is read strictly."""

import pytest

from gateway.config.origin import Origin, is_host, is_loopback, parse_origin, parse_url


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("https://a.example", Origin("https", "a.example", 443), "a.example"),
        ("https://a.example:443/", Origin("https", "a.example", 443), "a.example"),
        ("HTTPS://A.Example:8443", Origin("https", "a.example", 8443), "a.example:8443"),
        ("http://localhost:80", Origin("http", "localhost", 80), "localhost"),
        ("http://127.0.0.1:8090", Origin("http", "127.0.0.1", 8090), "127.0.0.1:8090"),
        ("http://[::1]:8090", Origin("http", "::1", 8090), "[::1]:8090"),
        ("http://[0:0::1]", Origin("http", "::1", 80), "[::1]"),
        ("http://adt_emulator:8090", Origin("http", "adt_emulator", 8090), "adt_emulator:8090"),
    ],
)
def test_origin(url: str, origin: Origin, authority: str) -> None:
    """Scheme and host are in lower case, and the scheme's own port is not sent."""
    assert parse_origin(url) == origin
    assert origin.authority == authority
    assert parse_origin(origin.text) == origin


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must be an absolute http:// or https:// URL"),
        ("a.example", "must be an absolute http:// or https:// URL"),
        ("//a.example", "must be an absolute http:// or https:// URL"),
        ("ftp://a.example", "must be an absolute http:// or https:// URL"),
        (" https://a.example", "must be an absolute http:// or https:// URL"),
        ("https://a.example\n", "must be an absolute http:// or https:// URL"),
        ("https:\\\\a.example", "must be an absolute http:// or https:// URL"),
        ("https://a.example\\@b.example", "must be an absolute http:// or https:// URL"),
        ("https://ä.example", "must be an absolute http:// or https:// URL"),
        ("https://a.example%zz", "must be an absolute http:// or https:// URL"),
        ("https://a.example/path", "must have no path"),
        ("https://a.example//", "must have no path"),
        ("https://a.example?a", "must have no query and no fragment"),
        ("https://a.example/#a", "must have no query and no fragment"),
        ("https://user@a.example", "must have no user name or password"),
        ("https://@a.example", "must have no user name or password"),
        ("https://", "must have a valid host and port"),
        ("https://:443", "must have a valid host and port"),
        ("https://a.example:", "must have a valid host and port"),
        ("https://a.example:x", "must have a valid host and port"),
        ("https://[::1", "must have a valid host and port"),
        ("https://[127.0.0.1]", "must have a valid host"),
        ("https://[fe80::1%25eth0]", "must have a valid host and port"),
        ("https://127.1", "must have a valid host"),
        ("https://0x7f.1", "must have a valid host"),
        ("https://a.0x7f", "must have a valid host"),
        ("https://2130706433", "must have a valid host"),
        ("https://a..example", "must have a valid host"),
        ("https://a.example.", "must have a valid host"),
        ("https://-a.example", "must have a valid host"),
        ("https://a%2eexample", "must have a valid host"),
        ("https://a.example:0", "must have a port from 1 to 65535"),
        ("https://a.example:65536", "must have a port from 1 to 65535"),
    ],
)
def test_refused(url: str, message: str) -> None:
    """Whatever is more than an origin, or could be read in two ways, is refused with what is allowed."""
    with pytest.raises(ValueError, match=r"^must") as caught:
        parse_origin(url)
    assert str(caught.value) == message


def test_parts_that_are_allowed() -> None:
    """Path, query and user name pass where the caller allows them, and are not part of the origin."""
    url = "https://user:pass@a.example/path?query"
    assert parse_url(url, query=True, userinfo=True) == Origin("https", "a.example", 443)
    for page in ("https://a.example/#/b?c", "https://a.example/?b#c"):
        assert parse_url(page, fragment=True) == Origin("https", "a.example", 443)
    with pytest.raises(ValueError, match="must have no fragment"):
        parse_url(f"{url}#fragment", query=True, userinfo=True)
    with pytest.raises(ValueError, match="must have no user name"):
        parse_url("https://a@b@a.example", userinfo=True)


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://a.example", True),
        ("http://localhost:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]", True),
        ("http://a.example", False),
        ("http://localhost.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_private(url: str, private: bool) -> None:
    """A secret may go by https anywhere, and by http to loopback only."""
    assert parse_origin(url).is_private is private


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("LOCALHOST", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("", False)],  # noqa: S104
)
def test_loopback(host: str, loopback: bool) -> None:
    """The any-address is not loopback, and neither is an empty host."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a-b.c_d", True), ("::1", True), ("10.0.0.1", True), ("1a", True), ("", False), ("*", False),
        ("a:80", False), ("[::1]", False), ("a/b", False), ("a b", False), (f"{'a' * 64}.example", False),
        (".".join(["abcd"] * 51), False), ("a\n", False),
    ],
)  # fmt: skip
def test_host(text: str, valid: bool) -> None:
    """A host is an address or a name, and nothing around it."""
    assert is_host(text) is valid
