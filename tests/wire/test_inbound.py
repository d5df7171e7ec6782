"""What may pass: requests for this gateway, from no foreign page, and not on a denied route."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.http1 import Pairs
from tests.support.upstream import FaultUpstream
from tests.support.wire import ask, error_of, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:8080"]
)
async def test_loopback_names_are_this_gateway(
    gateway: RunningGateway, upstream: FaultUpstream, host: str
) -> None:
    """Any port of any loopback name is this gateway's."""
    assert (await ask(gateway, host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8080",
        "localhost.",
        "127.0.0.1.evil.example",
        "0.0.0.0",  # noqa: S104 - a Host, not a bind
        "127.0.0.2",
        "2130706433",
        "[::2]",
        "example.api.weu.digitaltwins.azure.net",
    ],
)
async def test_other_hosts_are_not_this_gateway(
    gateway: RunningGateway, upstream: FaultUpstream, host: str
) -> None:
    """A name that a web page can point at 127.0.0.1 (DNS rebinding) is refused."""
    refused(await ask(gateway, host=host), 421, "GatewayMisdirected")
    assert upstream.requests == []


async def test_allowed_hosts_replace_the_default(engine: str, upstream: FaultUpstream) -> None:
    """`listen.allowed_hosts` says exactly which names are this gateway's."""
    listen = {"allowed_hosts": ["adt.example", "10.0.0.1"]}
    async with running_gateway(upstream.origin, upstream={"engine": engine}, listen=listen) as gateway:
        for host in ("adt.example", "ADT.example:8080", "10.0.0.1:1"):
            assert (await ask(gateway, host=host)).status == 200
        for host in ("localhost", "x.adt.example"):
            refused(await ask(gateway, host=host), 421, "GatewayMisdirected")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"origin", b"https://evil.example")],
        [(b"origin", b"null")],
        [(b"origin", b"")],
        [(b"origin", b"https://localhost")],
        [(b"origin", b"http://localhost:1")],
        [(b"origin", b"http://localhost.evil.example")],
        [(b"origin", b"http://localhost"), (b"origin", b"https://evil.example")],
        [(b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"same-site")],
        [(b"sec-fetch-site", b"")],
        [(b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"cross-site")],
        [(b"sec-fetch-site", b"CROSS-SITE")],
        [(b"origin", b"http://localhost"), (b"sec-fetch-site", b"cross-site")],
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_pages_of_other_sites_are_refused(
    gateway: RunningGateway, upstream: FaultUpstream, method: str, headers: Pairs
) -> None:
    """What a web page of another site can make a browser send gets no further."""
    refused(await ask(gateway, "/jobs/deletions", method, headers), 403, "GatewayForbidden")
    assert upstream.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"origin", b"http://localhost")],
        [(b"origin", b"HTTP://LOCALHOST")],
        [(b"sec-fetch-site", b"same-origin")],
        [(b"sec-fetch-site", b"none")],
    ],
)
async def test_own_pages_and_apps_pass(
    gateway: RunningGateway, upstream: FaultUpstream, headers: Pairs
) -> None:
    """Apps send neither header; a page of the gateway's own origin, and a typed address, pass."""
    assert (await ask(gateway, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("method", "target", "denied"),
    [
        ("POST", "/jobs/deletions", True),
        ("POST", "/jobs/deletions?api-version=2023-10-31", True),
        ("POST", "/jobs/deletions/", True),
        ("POST", "/JOBS/Deletions", True),
        ("POST", "/jobs/%64eletions", True),
        ("POST", "/%6Aobs/deletion%73", True),
        ("POST", "/jobs/%2564eletions", True),
        ("POST", "/jobs/deletions;v=1", True),
        ("POST", "/jobs;v=1/deletions%3B/", True),
        ("POST", "/jobs/deletions.", True),
        ("POST", "/jobs/deletions%20", True),
        ("GET", "/jobs/deletions", False),
        ("POST", "/jobs/deletions/x", False),
        ("PUT", "/jobs/imports/a%2Fb", True),
        ("PUT", "/jobs/imports/a/b", False),
        ("GET", "/jobs/imports/a", False),
        ("GET", "/models", True),
        ("HEAD", "/models", True),
    ],
)
async def test_denied_routes_are_refused_however_they_are_spelled(
    denying: RunningGateway, upstream: FaultUpstream, method: str, target: str, *, denied: bool
) -> None:
    """`routes.deny` also refuses the spellings that an upstream might take for the denied template."""
    response = await ask(denying, target, method)
    assert (response.status == 403) == denied
    assert len(upstream.requests) == (0 if denied else 1)
    if denied and method != "HEAD":
        assert error_of(response)["code"] == "GatewayForbidden"
        assert "routes.deny" in error_of(response)["message"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def denying(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway that denies three routes."""
    deny = ["POST /jobs/deletions", "PUT /jobs/imports/{id}", "GET /models"]
    async with running_gateway(
        module_upstream.origin, upstream={"engine": engine}, routes={"deny": deny}
    ) as running:
        yield running


async def test_forwarded_headers_are_not_believed(engine: str, upstream: FaultUpstream) -> None:
    """X-Forwarded-* pass as they are, and change neither scheme, nor client, nor Host of the exchange."""
    fields = [
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"evil.example"),
        (b"forwarded", b"for=192.0.2.1;host=evil.example"),
    ]
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        assert (await ask(gateway, headers=fields)).status == 200
    assert gateway.exchanges()[0]["client"] == "127.0.0.1"
    assert [pair for pair in upstream.last.headers if pair[0].lower() in dict(fields)] == fields
