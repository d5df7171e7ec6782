"""Who is at the other end, as the kernel and TLS say."""

import asyncio
import os
import socket

import pytest

from gateway import failures
from gateway.callers import Callers, read_peer
from gateway.config import Inbound
from gateway.exchange import Exchange, Peer


def test_the_user_at_a_unix_socket() -> None:
    """The kernel names the process that connected; other sockets have no user."""
    here, there = socket.socketpair()
    with here, there:
        assert read_peer(asyncio.BaseTransport({"socket": here})) == Peer(uid=os.getuid())
    with socket.socket(socket.AF_INET) as plain:
        assert read_peer(asyncio.BaseTransport({"socket": plain})) == Peer()
    assert read_peer(asyncio.BaseTransport({})) == Peer()


def test_names_of_a_certificate() -> None:
    """Only subjectAltNames that name one client count, never the CN, and no more than can be looked at."""
    shown = {
        "subject": ((("commonName", "cn.example"),),),
        "subjectAltName": (("DNS", "a.example"), ("DNS", 7), ("DNS", "*.example"), ("RegisteredID", "1.2")),
    }
    assert read_peer(asyncio.BaseTransport({"peercert": shown})) == Peer(names=("a.example",))
    assert read_peer(asyncio.BaseTransport({"peercert": {"subject": ()}})) == Peer()
    many = {"subjectAltName": tuple(("DNS", f"n{number}.example") for number in range(70))}
    names = read_peer(asyncio.BaseTransport({"peercert": many})).names
    assert names == tuple(f"n{number}.example" for number in range(64))


def test_both_at_once() -> None:
    """A certificate over a Unix socket: user and names."""
    here, there = socket.socketpair()
    with here, there:
        extra = {"socket": here, "peercert": {"subjectAltName": (("DNS", "a.example"),)}}
        assert read_peer(asyncio.BaseTransport(extra)) == Peer(os.getuid(), ("a.example",))


@pytest.mark.parametrize("value", [b"1234567key-one", b"Basic   key-one", b"Bearerxkey-one", b"key-one"])
def test_only_the_bearer_scheme_shows_a_key(value: bytes) -> None:
    """A key behind another scheme, or none, is no key."""
    callers = Callers(Inbound.model_validate({"keys": {"app": "key-one"}}), bearer_keys=True)
    exchange = Exchange("GET", b"/models", b"", [(b"authorization", value)])
    assert isinstance(callers.identify(exchange), failures.Unauthorized)
    assert exchange.caller is None
