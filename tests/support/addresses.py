"""Addresses of this machine."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest


def own_address() -> str | None:
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def require_own_address() -> str:
    """The same; skips the test on a machine that has loopback only, fails it under `REQUIRE_ALL=1`."""
    address = own_address()
    if address is not None and not ipaddress.ip_address(address).is_loopback:
        return address
    message = "this machine has no address but loopback: give it a network interface"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def refusing_origin() -> Iterator[str]:
    """An origin at which nobody listens."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def deaf_origin(host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """An origin that never completes a connect: its queue of one is full."""
    with closing(socket.create_server((host, port), backlog=0)) as listener:
        port = listener.getsockname()[1]
        with closing(socket.create_connection((host, port))):
            yield f"http://{host}:{port}"
