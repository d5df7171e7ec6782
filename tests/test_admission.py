"""What may pass: only what was meant for this gateway, and not sent by a web page of another site."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import failures
from gateway.admission import LOOPBACK_NAMES, Admission, host_name
from gateway.exchange import Exchange
from gateway.routes import DenyList


def _admission(
    *,
    hosts: frozenset[str] | None = LOOPBACK_NAMES,
    public: str | None = None,
    deny: tuple[str, ...] = (),
) -> Admission:
    return Admission(
        allowed_hosts=hosts,
        public_base_url=public,
        key_header="X-Gateway-Key",
        denied=DenyList(deny).refuses,
    )


def _exchange(
    *lines: tuple[bytes, bytes],
    method: str = "GET",
    path: bytes = b"/models",
    query: bytes = b"",
    host: bytes = b"localhost:8080",
) -> Exchange:
    return Exchange(method, path, query, [(b"host", host), *lines], host=host)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"localhost", "localhost"),
        (b"LOCALHOST:8080", "localhost"),
        (b"127.0.0.1:1", "127.0.0.1"),
        (b"localhost:", "localhost"),
        (b"[::1]", "[::1]"),
        (b"[::1]:8080", "[::1]"),
        (b"a-b_c.example", "a-b_c.example"),
        (b"", None),
        (b":8080", None),
        (b"a,b", None),
        (b"localhost:65535", "localhost"),
        (b"localhost:65536", None),
        (b"a, localhost", None),
        (b"user@localhost", None),
        (b"localhost/path", None),
        (b"localhost?x", None),
        (b"localhost#x", None),
        (b"localhost localhost", None),
        (b"localhost:80:80", None),
        (b"localhost:port", None),
        (b"localhost:-1", None),
        (b"localhost:123456", None),
        (b"::1", None),
        (b"[::1", None),
        (b"[::1]x", None),
        (b"[evil]", None),
        (b"local\x00host", None),
        (b"localhost\n", None),
        (b"\xe9", None),
        (b"%6cocalhost", None),
        (b"http://localhost", None),
    ],
)
def test_host_is_read_strictly(host: bytes, name: str | None) -> None:
    """One name or bracketed address and at most one port; all else is malformed."""
    assert host_name(host) == name


@given(st.binary())
def test_any_host_is_judged(host: bytes) -> None:
    """No Host makes reading it raise; a name has no separator in it."""
    name = host_name(host)
    assert name is None or not set(name) & set(",@/?# \\")


@pytest.mark.parametrize("host", [b"localhost", b"localhost:1", b"127.0.0.1:8080", b"[::1]:9", b"LocalHost"])
def test_own_names_pass_with_any_port(host: bytes) -> None:
    """The loopback names are this gateway, whatever port a forwarder shows."""
    _admission().admit(_exchange(host=host))


@pytest.mark.parametrize(
    "host", [b"evil.example", b"localhost.", b"localhost.evil.example", b"127.0.0.2", b"[::2]"]
)
def test_foreign_host_is_misdirected(host: bytes) -> None:
    """A name that is not this gateway's, such as a rebound one, gets 421."""
    with pytest.raises(failures.Misdirected):
        _admission().admit(_exchange(host=host))


@pytest.mark.parametrize("hosts", [LOOPBACK_NAMES, None])
@pytest.mark.parametrize("host", [b"", b"a, localhost", b"user@localhost", b"localhost/x"])
def test_malformed_host_is_invalid(host: bytes, hosts: frozenset[str] | None) -> None:
    """A missing or malformed Host gets 400, on a Unix socket too: links are made of it."""
    with pytest.raises(failures.RequestInvalid):
        _admission(hosts=hosts).admit(_exchange(host=host))


def test_two_hosts_are_invalid() -> None:
    """A second Host line gets 400, although the first is allowed."""
    with pytest.raises(failures.RequestInvalid, match="more than one host"):
        _admission().admit(_exchange((b"host", b"localhost:8080")))


def test_any_name_passes_on_a_unix_socket() -> None:
    """Without an allow-list any well-formed Host passes."""
    _admission(hosts=None).admit(_exchange(host=b"anything"))


def test_configured_names_are_compared_without_case() -> None:
    """An allowed host in capitals is met by any spelling."""
    _admission(hosts=frozenset({"GW.Example"})).admit(_exchange(host=b"gw.eXample:443"))


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"", b"None", b"none, same-origin"])
def test_other_sites_are_forbidden(site: bytes) -> None:
    """What a browser sends for a page of another site is refused."""
    with pytest.raises(failures.Forbidden):
        _admission().admit(_exchange((b"sec-fetch-site", site), method="POST", path=b"/jobs/deletions"))


@pytest.mark.parametrize("site", [b"same-origin", b"none"])
def test_own_site_passes(site: bytes) -> None:
    """A page of the gateway's own origin, and an address typed by the user, pass."""
    _admission().admit(_exchange((b"sec-fetch-site", site)))


@pytest.mark.parametrize(
    "origin",
    [
        b"null",
        b"",
        b"http://evil.example",
        b"https://localhost:8080",
        b"http://localhost",
        b"http://localhost:3000",
        b"http://localhost:8080.evil.example",
        b"http://localhost:8080/",
        b"http://user@localhost:8080",
    ],
)
def test_foreign_origin_is_forbidden(origin: bytes) -> None:
    """Another origin, of another scheme or port too, is refused."""
    with pytest.raises(failures.Forbidden):
        _admission(public="https://gw.example/base").admit(_exchange((b"origin", origin)))


@pytest.mark.parametrize(
    "origin", [b"http://localhost:8080", b"HTTP://LOCALHOST:8080", b"https://gw.example"]
)
def test_own_origin_passes(origin: bytes) -> None:
    """The origin of the request itself and of `public_base_url` pass."""
    _admission(public="https://GW.example/base").admit(_exchange((b"origin", origin)))
