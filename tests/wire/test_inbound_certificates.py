"""Which client certificates may use the gateway, and what the log calls those who show them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.certificates import CertificateFiles, write_certificates
from tests.support.client_certificates import (
    ADDRESS,
    DIRECTORY,
    DNS,
    EMAIL,
    REGISTERED,
    URI,
    ClientAuthority,
    showing,
)
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.http1 import Pairs
from tests.support.raw import RawResponse, raw_client
from tests.support.upstream import FaultUpstream
from tests.support.wire import error_of, logged_caller, refused, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

LISTED = ["app.example", "spiffe://prod/ns/orders", "robot@example.com", "127.0.0.7", "2001:db8::7"]
KEY = "key-of-the-app-0123456789"
COMMON_NAME = bytes.fromhex("310e300c06035504030c05") + b"app.x"


@dataclass(slots=True)
class Site:
    """A gateway with mTLS, its CA, and who signs certificates for it."""

    gateway: RunningGateway
    files: CertificateFiles
    clients: ClientAuthority

    async def ask(self, certificate: Path, headers: Pairs | None = None) -> RawResponse:
        """The answer to one request by whoever shows this certificate."""
        tls = showing(certificate, self.files.ca)
        async with raw_client(*self.gateway.address, tls=tls, server_name="localhost") as client:
            await client.offer(request(headers=headers))
            return await client.response()

    async def caller(self, response: RawResponse) -> str | None:
        """What the log calls whoever got this answer."""
        return await logged_caller(self.gateway, response)


@asynccontextmanager
async def _site(upstream: FaultUpstream, folder: Path, **inbound: Any) -> AsyncIterator[Site]:
    files, clients = write_certificates(folder), ClientAuthority(folder)
    tls = {"certificate_file": files.certificate, "key_file": files.key, "client_ca_file": clients.file}
    auth = {"mode": "none", "inbound": inbound}
    async with running_gateway(upstream.origin, listen={"tls": tls}, auth=auth) as gateway:
        yield Site(gateway, files, clients)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listing(
    module_upstream: FaultUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A gateway that lists names."""
    async with _site(module_upstream, tmp_path_factory.mktemp("listing"), client_names=LISTED) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trusting(
    module_upstream: FaultUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A gateway that takes every certificate of the CA, and asks for a key."""
    folder = tmp_path_factory.mktemp("trusting")
    async with _site(module_upstream, folder, keys={"orders": KEY}) as site:
        yield site


@pytest.mark.parametrize(
    ("names", "caller"),
    [
        ([(DNS, b"app.example")], "app.example"),
        ([(DNS, b"APP.Example")], "app.example"),
        ([(DNS, b"other.example"), (DNS, b"app.example")], "app.example"),
        ([(URI, b"spiffe://prod/ns/orders")], "spiffe://prod/ns/orders"),
        ([(EMAIL, b"robot@EXAMPLE.com")], "robot@example.com"),
        ([(ADDRESS, bytes([127, 0, 0, 7]))], "127.0.0.7"),
        ([(ADDRESS, bytes.fromhex("20010db8000000000000000000000007"))], "2001:db8::7"),
        ([(DNS, b"a%d.example" % number) for number in range(63)] + [(DNS, b"app.example")], "app.example"),
    ],
)
async def test_listed_names_get_in(
    listing: Site, upstream: FaultUpstream, names: list[tuple[int, bytes]], caller: str
) -> None:
    """A certificate with a listed name of any kind gets in, and the log calls it by that name."""
    response = await listing.ask(listing.clients.issue(*names))
    assert response.status == 200
    assert await listing.caller(response) == caller


@pytest.mark.parametrize(
    ("names", "caller"),
    [
        ([], None),
        ([(DNS, b"other.example")], "other.example"),
        ([(DNS, b"*.example")], None),
        ([(DNS, b"x.app.example")], "x.app.example"),
        ([(DNS, b"app.example.")], None),
        ([(DNS, b"app.example\0.evil.example")], None),
        ([(DNS, b"app.example\r\n")], None),
        ([(DNS, b"app.example, DNS:b")], None),
        ([(DNS, b"\x1b]0;app.example\x07")], None),
        ([(DNS, b"app.example"), (DNS, b"\xe9\xff.example")], None),
        ([(DNS, b"spiffe://prod/ns/orders")], None),
        ([(DNS, b"127.0.0.7")], None),
        ([(DNS, b"a" * 20_000)], None),
        ([(DNS, b"a%d.example" % number) for number in range(2_000)] + [(DNS, b"app.example")], "a0.example"),
        ([(URI, b"app.example")], None),
        ([(URI, b"spiffe://prod/ns/Orders")], "spiffe://prod/ns/Orders"),
        ([(URI, b"spiffe://prod/ns/orders/x")], "spiffe://prod/ns/orders/x"),
        ([(URI, b"uid:0")], None),
        ([(EMAIL, b"app.example")], None),
        ([(ADDRESS, b"abc")], None),
        ([(ADDRESS, bytes([127, 0, 0, 8]))], "127.0.0.8"),
        ([(DIRECTORY, b"\x30\x10" + COMMON_NAME)], None),
        ([(REGISTERED, b"\x2a\x03")], None),
    ],
)  # fmt: skip
async def test_other_names_are_refused(
    listing: Site, upstream: FaultUpstream, names: list[tuple[int, bytes]], caller: str | None
) -> None:
    """A certificate of the CA without a listed name gets 403, whatever its CN and however odd its names are.

    A proper name of it stands in the log; nothing is sent upstream, and the listener lives on.
    """
    response = await listing.ask(listing.clients.issue(*names))
    assert "auth.inbound.client_names" in refused(response, 403, "GatewayForbidden")
    assert await listing.caller(response) == caller
    assert upstream.requests == []


async def test_the_common_name_is_no_name(listing: Site, upstream: FaultUpstream) -> None:
    """A certificate whose CN is listed, but without a subjectAltName, gets 403 (RFC 9525, section 2)."""
    certificate = listing.clients.issue(cn="app.example", san=False)
    refused(await listing.ask(certificate), 403, "GatewayForbidden")
    assert upstream.requests == []


async def test_bad_requests_of_a_known_caller_name_it(listing: Site) -> None:
    """The log names the caller of a request that is refused for another reason, too."""
    certificate = listing.clients.issue((DNS, b"app.example"))
    for header, status in (((b"bad name", b"x"), 400), ((b"origin", b"https://evil.example"), 403)):
        response = await listing.ask(certificate, [header])
        assert response.status == status
        assert await listing.caller(response) == "app.example"


async def test_certificate_and_key_are_both_asked_for(trusting: Site, upstream: FaultUpstream) -> None:
    """With keys a certificate of the CA is not enough, and the log has both names, the key's first."""
    certificate = trusting.clients.issue((DNS, b"any.example"), (URI, b"spiffe://prod/any"))
    response = await trusting.ask(certificate)
    refused(response, 401, "GatewayUnauthorized")
    assert await trusting.caller(response) == "any.example"
    response = await trusting.ask(certificate, [(b"x-gateway-key", KEY.encode())])
    assert response.status == 200
    assert await trusting.caller(response) == "orders, any.example"
    assert len(upstream.requests) == 1


async def test_a_certificate_without_names_of_a_trusted_ca(trusting: Site) -> None:
    """Without a list of names it gets in with its key, and the log has the key's name alone."""
    certificate = trusting.clients.issue((DNS, b"\0"), (URI, "spiffe://\u00e9".encode()), (DNS, b"\xff"))
    response = await trusting.ask(certificate, [(b"x-gateway-key", KEY.encode())])
    assert response.status == 200
    assert await trusting.caller(response) == "orders"


async def test_a_caller_is_read_once_for_a_connection(listing: Site) -> None:
    """Every request of a connection has its caller."""
    tls = showing(listing.clients.issue((DNS, b"app.example")), listing.files.ca)
    async with raw_client(*listing.gateway.address, tls=tls, server_name="localhost") as client:
        for _ in range(3):
            await client.send(request())
            response = await client.response()
            assert response.status == 200
            assert await listing.caller(response) == "app.example"


async def test_refusal_says_what_to_do(listing: Site) -> None:
    """The 403 is an ErrorResponse like others."""
    response = await listing.ask(listing.clients.issue())
    assert error_of(response)["message"] == (
        "The client's certificate has no name that may use this gateway (auth.inbound.client_names)."
    )
