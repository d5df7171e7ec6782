"""Names in client certificates, and how a listed one and a shown one are compared."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.identities import listed_name, shown_name
from gateway.config.rules.inbound import peer_fault
from tests.support.configuration import problems

KINDS = ("DNS", "URI", "email", "IP Address")
TLS = 'listen.tls.client_ca_file = "/nonexistent/ca.pem"\n'


@pytest.mark.parametrize(
    ("kind", "shown", "name"),
    [
        ("DNS", "App.Example", "app.example"),
        ("DNS", "app", "app"),
        ("DNS", "_a-b.example", "_a-b.example"),
        ("URI", "spiffe://prod/ns/orders/sa/App", "spiffe://prod/ns/orders/sa/App"),
        ("URI", "urn:uuid:7F000001-0000", "urn:uuid:7F000001-0000"),
        ("email", "Robot@Example.COM", "Robot@example.com"),
        ("IP Address", "127.0.0.1", "127.0.0.1"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ],
)
def test_names_of_certificates(kind: str, shown: str, name: str) -> None:
    """Each kind has one form, in which it can be listed, too."""
    assert shown_name(kind, shown) == name
    assert listed_name(shown) == name
    assert listed_name(name) == name


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("DNS", ""),
        ("DNS", "*.example"),
        ("DNS", "app.example."),
        ("DNS", "app.example\0.evil.example"),
        ("DNS", "app.example\r\n"),
        ("DNS", "app.example, DNS:b"),
        ("DNS", "app example"),
        ("DNS", "app\u212a.example"),
        ("DNS", "a" * 300),
        ("DNS", "10.0.0.1"),
        ("DNS", "::1"),
        ("DNS", "uid:0"),
        ("DNS", "spiffe://prod/orders"),
        ("DNS", "robot@example.com"),
        ("URI", "uid:0"),
        ("URI", "fe80::1"),
        ("URI", "app.example"),
        ("URI", "spiffe://prod/a b"),
        ("URI", "spiffe://prod/a,uid:0"),
        ("URI", "spiffe://prod/\x1b[2J"),
        ("URI", "spiffe://" + "a" * 300),
        ("email", "uid:0@example.com"),
        ("email", "a@b@example.com"),
        ("email", "spiffe://a@example.com"),
        ("email", "robot@exa mple.com"),
        ("IP Address", "<invalid>"),
        ("IP Address", "app.example"),
        ("DirName", "app.example"),
        ("othername", "<unsupported>"),
        ("Registered ID", "1.2.3"),
        ("IP", "127.0.0.1"),
    ],
)
def test_odd_names_are_nobodys(kind: str, shown: str) -> None:
    """What is not a plain name of its kind, or looks like one of another, is no name at all."""
    assert shown_name(kind, shown) is None


@given(st.sampled_from(KINDS), st.text(max_size=40) | st.from_regex(r"[a-z0-9.:@/*_-]{1,40}", fullmatch=True))
def test_a_name_is_of_one_kind_and_fits_the_log(kind: str, text: str) -> None:
    """Whatever a certificate has: a name is printable, has no separator, is stable, is of one kind only."""
    name = shown_name(kind, text)
    if name is None:
        return
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & {" ", ","}
    assert not name.startswith("uid:")
    assert [other for other in KINDS if shown_name(other, name)] == [kind]
    assert listed_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "*", "*.example", "CN=app", "fe80::1%eth0", "app.example:8080"])
def test_names_that_no_certificate_can_show(name: str, tmp_path: Path) -> None:
    """A listed name that could never match is a mistake, told with its place."""
    text = f'{TLS}auth.inbound.client_names = ["app.example", "{name}"]'
    (line,) = (line for line in problems(tmp_path, text) if line.startswith("auth.inbound"))
    assert line == (
        "auth.inbound.client_names: item 2 must be a DNS name, URI, e-mail address or IP address,"
        " without wildcards (config.toml)"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('auth.inbound.client_names = ["app.example"]', "client_names: needs listen.tls.client_ca_file"),
        ("auth.inbound.peer_uids = [0]", "peer_uids: needs listen.unix_socket"),
        ("auth.inbound.peer_uids = [-1]", "peer_uids: item 1 must be a whole number from 0 to 4294967294"),
        ('auth.inbound.peer_uids = ["me"]', "peer_uids: item 1 must be a whole number from 0 to 4294967294"),
        ("auth.inbound.peer_uids = [true]", "peer_uids: item 1 must be a whole number from 0 to 4294967294"),
    ],
)
def test_rules_that_could_not_work(text: str, line: str, tmp_path: Path) -> None:
    """A list that nothing could be compared with is a mistake, not a gateway that lets everybody in."""
    assert problems(tmp_path, text) == [f"auth.inbound.{line} (config.toml)"]


def test_users_from_the_environment(tmp_path: Path) -> None:
    """A comma-separated list of numbers works in a variable, and what is no number is told with its name."""
    listening = {"ADT_GATEWAY_LISTEN__UNIX_SOCKET": str(tmp_path / "gateway.sock")}
    variable = "ADT_GATEWAY_AUTH__INBOUND__PEER_UIDS"
    assert problems(tmp_path, environ={**listening, variable: "0, 1000"}) == []
    (line,) = problems(tmp_path, environ={**listening, variable: "1000,x"})
    assert line == (
        f"auth.inbound.peer_uids: item 2 must be a whole number from 0 to 4294967294 ({variable})"
    )


def test_users_need_a_system_that_tells_them() -> None:
    """Without SO_PEERCRED the list is refused, rather than that nobody or everybody gets in."""
    assert peer_fault(object()) == "this system does not tell who connects (SO_PEERCRED); Linux does"
    assert peer_fault(socket) is None
