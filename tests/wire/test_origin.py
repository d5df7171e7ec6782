"""No form of a request makes the gateway connect to anything but the configured origin."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import ask, refused, request, told
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGETS = (
    "http://{decoy}/models",
    "HTTP://{decoy}/models",
    "https://{decoy}/models",
    "ws://{decoy}/models",
    "http://{decoy}",
    "http:/{decoy}/models",
    "http:{decoy}/models",
    "http:///{decoy}/models",
    "http://{origin}@{decoy}/models",
    "http://{decoy}#{origin}/models",
    "http://{decoy}?{origin}/models",
    "http://{origin}/models",
    "http://localhost/models",
    "{decoy}",
    "{decoy}/models",
    "@{decoy}/models",
    ":{port}/models",
    ".{decoy}/models",
    "user@{decoy}/models",
    "user:secret@{decoy}/models",
    "//{decoy}/models",
    "///{decoy}/models",
    "////{decoy}/models",
    "//{decoy}",
    "//user@{decoy}/models",
    "/\\{decoy}/models",
    "\\\\{decoy}\\models",
    "/\\/{decoy}/models",
    "/.//{decoy}/models",
    "/..//{decoy}/models",
    "/models/..//{decoy}",
    "/%2f{decoy}/models",
    "/%2F%2F{decoy}/models",
    "/%5c%5c{decoy}/models",
    "/@{decoy}/models",
    "/:@{decoy}/models",
    "/http://{decoy}/models",
    "/models?url=http://{decoy}/",
    "/models#@{decoy}/",
    "/models?@{decoy}",
    "/models;@{decoy}",
    "*",
    "%2f%2f{decoy}/models",
)
"""`{decoy}` is host and port of somebody who listens, `{origin}` those of the upstream."""
HEADERS = {
    "decoy as Host": "Host: {decoy}",
    "Host of another name": "Host: evil.example",
    "Host behind ours": "Host: localhost\r\nHost: {decoy}",
    "Host with userinfo": "Host: localhost@{decoy}",
    "Host list": "Host: localhost, {decoy}",
    "Forwarded": "Host: localhost\r\nForwarded: host={decoy};proto=http",
    "X-Forwarded-Host": "Host: localhost\r\nX-Forwarded-Host: {decoy}\r\nX-Forwarded-Proto: http",
    "X-Original-URL": "Host: localhost\r\nX-Original-URL: http://{decoy}/\r\nX-Rewrite-URL: http://{decoy}/",
    "Location": "Host: localhost\r\nLocation: http://{decoy}/\r\nContent-Location: http://{decoy}/",
    "proxy": "Host: localhost\r\nProxy: http://{decoy}\r\nX-Real-IP: 127.0.0.1\r\nVia: 1.1 {decoy}",
    "Referer": "Host: localhost\r\nReferer: http://{decoy}/\r\nOperation-Location: http://{decoy}/",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoy() -> AsyncIterator[FaultUpstream]:
    """A server beside the upstream, to which nobody may ever connect."""
    async with fault_upstream() as running:
        yield running


def filled(text: str, decoy: FaultUpstream, upstream: FaultUpstream) -> str:
    """With the addresses of both."""
    hosts = [each.origin.removeprefix("http://") for each in (decoy, upstream)]
    return text.format(decoy=hosts[0], origin=hosts[1], port=decoy.port)


async def check(gateway: RunningGateway, upstream: FaultUpstream, decoy: FaultUpstream, data: bytes) -> bool:
    """Whether the request was forwarded; to the upstream alone then, under its name, and with a path."""
    answer = await told(gateway, data)
    assert decoy.connections == 0
    if answer.status != 200:
        code = "GatewayMisdirected" if answer.status == 421 else "GatewayRequestInvalid"
        refused(answer, 421 if answer.status == 421 else 400, code)
        assert upstream.requests == []
        return False
    [seen] = upstream.requests
    assert seen.target.startswith(b"/")
    assert not seen.target.startswith(b"//")
    assert seen.values(b"host") == [upstream.origin.removeprefix("http://").encode()]
    assert seen.values(b"authorization") == [b"Bearer " + TOKEN.encode()]
    return True


@pytest.mark.parametrize("form", TARGETS)
async def test_target_never_chooses_the_origin(
    gateway: RunningGateway, upstream: FaultUpstream, decoy: FaultUpstream, form: str
) -> None:
    """Refused, or a path at the configured origin."""
    await check(gateway, upstream, decoy, request(filled(form, decoy, upstream)))


@pytest.mark.parametrize("form", HEADERS)
async def test_header_never_chooses_the_origin(
    gateway: RunningGateway, upstream: FaultUpstream, decoy: FaultUpstream, form: str
) -> None:
    """A Host that is none of the gateway's is refused, and what else speaks of an origin is not obeyed."""
    lines = filled(HEADERS[form], decoy, upstream)
    forwarded = await check(gateway, upstream, decoy, f"GET /models HTTP/1.1\r\n{lines}\r\n\r\n".encode())
    assert forwarded == (not form.startswith("Host"))


async def test_some_targets_pass(
    gateway: RunningGateway, upstream: FaultUpstream, decoy: FaultUpstream
) -> None:
    """The first test sees both outcomes."""
    passed = []
    for form in TARGETS:
        upstream.reset()
        if await check(gateway, upstream, decoy, request(filled(form, decoy, upstream))):
            passed.append(form)
    assert "/models?url=http://{decoy}/" in passed
    assert 3 <= len(passed) <= len(TARGETS) - 25


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_answer_never_chooses_the_origin(
    gateway: RunningGateway, upstream: FaultUpstream, decoy: FaultUpstream, method: str, status: int
) -> None:
    """A redirect to somebody else is passed on, and not followed."""
    away = [
        (b"Location", decoy.origin.encode() + b"/elsewhere"),
        (b"Refresh", b"0; url=" + decoy.origin.encode()),
        (b"Alt-Svc", b'h1="127.0.0.1:%d"' % decoy.port),
        (b"Operation-Location", decoy.origin.encode() + b"/jobs/imports/a"),
    ]
    upstream.default = faults.reply(status, b"", away)
    answer = await ask(gateway, "/query", method, body=b"{}" if method == "POST" else None)
    assert answer.status == status
    assert answer.value(b"location") == away[0][1]
    assert len(upstream.requests) == 1
    assert decoy.connections == 0
