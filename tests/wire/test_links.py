"""Links to the upstream lead back to the gateway, and nothing else of an answer changes."""

import gzip
import json
import ssl
import zlib
from pathlib import Path

import pytest

from gateway.emulator import EmulatorSettings, running_emulator
from tests.support import faults
from tests.support.certificates import write_certificates
from tests.support.gateway import API, RunningGateway, running_gateway
from tests.support.raw import RawResponse, raw_client
from tests.support.upstream import FaultUpstream
from tests.support.wire import DELETIONS, IMPORTS, MODELS, TWIN, ask, request, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = (b"content-type", b"application/json")
REST = b"/jobs/deletions/d%201?api-version=2023-10-31&x=%2F%2f"


def _page(link: str) -> bytes:
    """A page with odd spacing, and with a link of the same name inside an item, which stays."""
    item = '{"id":"a", "nextLink" : "' + link + '"}'
    return f'{{ "value":[ {item} ],\n "nextLink" : "{link}" , "other":"{link}"}}'.encode()


async def _headed(
    gateway: RunningGateway, upstream: FaultUpstream, name: bytes, link: bytes, host: str = "localhost"
) -> bytes | None:
    upstream.on("/jobs/deletions", faults.reply(202, b"{}", [JSON, (name, link)]))
    return (await ask(gateway, DELETIONS, "POST", host=host)).value(name)


@pytest.mark.parametrize("name", [b"operation-location", b"location"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]"])
async def test_link_headers_lead_to_the_host_the_app_used(
    gateway: RunningGateway, upstream: FaultUpstream, name: bytes, host: str
) -> None:
    """Links to the upstream get scheme and Host of the request; path and query keep their bytes."""
    link = await _headed(gateway, upstream, name, upstream.origin.encode() + REST, host)
    assert link == b"http://" + host.encode() + REST


async def test_relative_link_headers_become_absolute(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """The SDK's poller cannot follow a relative Operation-Location."""
    link = await _headed(gateway, upstream, b"operation-location", REST)
    assert link == b"http://localhost" + REST


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/jobs/1",
        "//elsewhere.example/jobs/1",
        "http://{upstream}@elsewhere.example/",
        "http://{upstream}.elsewhere.example/",
        "https://{upstream}/jobs/1",
        "http://127.0.0.1:1/jobs/1",
        "ftp://{upstream}/jobs/1",
        "jobs/1",
        "",
    ],
)
async def test_other_links_stay(gateway: RunningGateway, upstream: FaultUpstream, link: str) -> None:
    """Links to any other origin pass byte for byte, in headers and in pages."""
    link = link.replace("{upstream}", upstream.origin.removeprefix("http://"))
    assert await _headed(gateway, upstream, b"operation-location", link.encode()) == link.encode()
    upstream.on("/models", faults.reply(200, _page(link), [JSON]))
    assert (await ask(gateway, MODELS)).body == _page(link)


@pytest.mark.parametrize(
    "target",
    [
        MODELS,
        IMPORTS,
        f"/jobs/deletions?{API}",
        f"/eventroutes?{API}",
        f"/digitaltwins/t1/relationships?{API}",
        f"/digitaltwins/t1/incomingrelationships?{API}",
    ],
)
async def test_next_link_of_a_page_leads_back(
    gateway: RunningGateway, upstream: FaultUpstream, target: str
) -> None:
    """Only the page's own link changes; its length follows, every other byte stays."""
    rest = target.partition("?")[0] + "?continuationToken=a%2Bb&x=\\u0026y&" + API
    page = _page(upstream.origin + rest)
    upstream.on(target.partition("?")[0], faults.reply(200, page, [JSON, (b"etag", b'"1"')]))
    response = await ask(gateway, target)
    own = b'"nextLink" : "' + upstream.origin.encode() + rest.encode() + b'" , '
    assert page.count(own) == 1
    assert response.body == page.replace(own, b'"nextLink" : "http://localhost' + rest.encode() + b'" , ')
    assert response.value(b"content-length") == b"%d" % len(response.body)
    assert response.value(b"etag") == b'"1"'


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [(TWIN, "GET", 200), (MODELS, "POST", 201), (f"/query?{API}", "POST", 200), (MODELS, "GET", 206)],
)
async def test_bodies_that_are_no_pages_stay(
    gateway: RunningGateway, upstream: FaultUpstream, target: str, method: str, status: int
) -> None:
    """A twin may have a property of that name: only the answers that page are touched."""
    page = _page(upstream.origin + "/models?x")
    upstream.on(target.partition("?")[0], faults.reply(status, page, [JSON]))
    body = None if method == "GET" else b"{}"
    assert (await ask(gateway, target, method, body=body)).body == page


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
async def test_compressed_page_is_answered_with_its_links(
    gateway: RunningGateway, upstream: FaultUpstream, coding: bytes
) -> None:
    """An upstream that compresses although it was asked not to: the page comes decoded and led back."""
    page = _page(upstream.origin + "/models?x")
    packed = gzip.compress(page) if coding == b"gzip" else zlib.compress(page)
    upstream.on("/models", faults.reply(200, packed, [JSON, (b"content-encoding", coding)]))
    response = await ask(gateway, MODELS)
    assert json.loads(response.body)["nextLink"] == "http://localhost/models?x"
    assert response.value(b"content-encoding") is None
    assert response.value(b"content-length") == b"%d" % len(response.body)


@pytest.mark.parametrize("coding", [b"br", b"gzip"])
async def test_page_that_cannot_be_decoded_passes_and_is_counted(
    engine: str, upstream: FaultUpstream, coding: bytes
) -> None:
    """An unknown or broken coding passes as it is, and a metric says so."""
    upstream.on("/models", faults.reply(200, b"\x00\x01", [JSON, (b"content-encoding", coding)]))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        response = await ask(gateway, MODELS)
        assert (response.body, response.value(b"content-encoding")) == (b"\x00\x01", coding)
        assert await _unread(gateway, "encoding") == 1


async def test_page_over_the_cap_passes_and_is_counted(engine: str, upstream: FaultUpstream) -> None:
    """A page over `limits.observed_body`, as sent or decoded, passes as it is, and a metric says so."""
    page = _page(upstream.origin + "/models?x") + b" " * 2000
    packed = gzip.compress(page)
    plain = faults.reply(200, page, [JSON])
    upstream.on("/models", plain, faults.reply(200, packed, [JSON, (b"content-encoding", b"gzip")]))
    limits = {"observed_body": 1024}
    async with running_gateway(upstream.origin, upstream={"engine": engine}, limits=limits) as gateway:
        assert (await ask(gateway, MODELS)).body == page
        assert (await ask(gateway, MODELS)).body == packed
        assert await _unread(gateway, "too_large") + await _unread(gateway, "encoding") == 2


async def _unread(gateway: RunningGateway, reason: str) -> float:
    return await sample(gateway, f'adt_gateway_bodies_unread_total{{reader="links",reason="{reason}"}}')


async def test_public_base_url_wins(engine: str, upstream: FaultUpstream) -> None:
    """With `listen.public_base_url` every link gets that base, whatever the Host."""
    upstream.on("/models", faults.reply(200, _page(upstream.origin + "/models?x"), [JSON]))
    listen = {"public_base_url": "https://adt.example:8443"}
    async with running_gateway(upstream.origin, upstream={"engine": engine}, listen=listen) as gateway:
        for host in ("localhost", "adt.example:8443"):
            response = await ask(gateway, MODELS, host=host)
            assert json.loads(response.body)["nextLink"] == "https://adt.example:8443/models?x"
            link = await _headed(gateway, upstream, b"location", upstream.origin.encode() + b"/x", host)
            assert link == b"https://adt.example:8443/x"


async def test_error_and_redirect_links_lead_back(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Link headers of errors and redirects are led back like those of any other answer."""
    for status in (302, 409):
        location = upstream.origin.encode() + b"/elsewhere"
        upstream.on("/digitaltwins/t1", faults.reply(status, b"", [(b"location", location)]))
        assert (await ask(gateway)).value(b"location") == b"http://localhost/elsewhere"


async def test_links_over_tls_are_https(engine: str, upstream: FaultUpstream, tmp_path: Path) -> None:
    """On a TLS listener the links get the scheme https."""
    files = write_certificates(tmp_path)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    upstream.on("/models", faults.reply(200, _page(upstream.origin + "/models?x"), [JSON]))
    context = ssl.create_default_context(cafile=files.ca)
    async with (
        running_gateway(upstream.origin, upstream={"engine": engine}, listen={"tls": tls}) as gateway,
        raw_client(*gateway.address, tls=context, server_name="localhost") as client,
    ):
        await client.send(request(MODELS, host="localhost:8443"))
        response = await client.response()
    assert json.loads(response.body)["nextLink"] == "https://localhost:8443/models?x"


async def test_three_pages_are_walked_through_the_gateway(engine: str) -> None:
    """Following every nextLink to its end never leaves the gateway, and finds every item once."""
    settings = EmulatorSettings(rate_limit=None, verify_tokens=False, page_size=2)
    async with (
        running_emulator(settings) as emulator,
        running_gateway(emulator.url, upstream={"engine": engine}) as gateway,
    ):
        models = [{"@id": f"dtmi:example:M{n};1", "@type": "Interface", "@context": "dtmi:dtdl:context;2"}
                  for n in range(5)]  # fmt: skip
        host = gateway.data.removeprefix("http://")
        created = await ask(
            gateway,
            MODELS,
            "POST",
            [(b"content-type", b"application/json")],
            body=json.dumps(models).encode(),
        )
        assert created.status == 201
        ids, pages, link = [], 0, gateway.data + MODELS
        while link:
            assert link.startswith(gateway.data + "/")
            page: RawResponse = await ask(gateway, link.removeprefix(gateway.data), host=host)
            document = json.loads(page.body)
            ids += [model["id"] for model in document["value"]]
            link, pages = document.get("nextLink"), pages + 1
    assert (sorted(ids), pages) == ([f"dtmi:example:M{n};1" for n in range(5)], 3)
