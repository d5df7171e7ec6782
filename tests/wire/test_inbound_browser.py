"""A page of another origin in a real browser: whatever it tries, nothing of it reaches the upstream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.browser import chromium, visit
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.http1 import read_head
from tests.support.upstream import fault_upstream
from tests.support.wire import until

TOKEN = "the-gateways-own-token"
ATTACK = """<!doctype html><title>waiting</title><body><script>
const at = "GATEWAY";
const told = (element, ...events) => new Promise(
  done => events.forEach(name => element.addEventListener(name, done)));
const added = (name, attributes) => {
  const element = Object.assign(document.createElement(name), attributes);
  document.body.append(element);
  return element;
};
const form = () => {
  const frame = added("iframe", {name: "hidden"});
  const sent = added("form", {method: "POST", action: at + "/jobs/deletions?by=form", target: "hidden"});
  sent.submit();
  return told(frame, "load");
};
const socket = () => told(new WebSocket(at.replace("http", "ws") + "/models?by=socket"), "close");
const json = {"content-type": "application/json"};
Promise.allSettled([
  fetch(at + "/jobs/deletions?by=no-cors", {method: "POST", mode: "no-cors"}),
  fetch(at + "/models?by=no-cors", {mode: "no-cors", credentials: "include"}),
  fetch(at + "/jobs/deletions?by=cors", {method: "POST"}),
  fetch(at + "/jobs/imports/x?by=preflight", {method: "PUT", headers: json, body: "{}"}),
  fetch(at + "/models?by=key", {headers: {"x-gateway-key": "guess", "authorization": "Bearer guess"}}),
  told(added("img", {src: at + "/models?by=image"}), "error", "load"),
  told(added("script", {src: at + "/models?by=script"}), "error", "load"),
  told(added("link", {rel: "stylesheet", href: at + "/models?by=style"}), "error", "load"),
  form(), socket(),
  new Promise(done => done(navigator.sendBeacon(at + "/jobs/deletions?by=beacon", "x"))),
]).then(() => { document.title = "done"; });
</script>"""
ATTEMPTS = 11
TRIED = {
    ("POST", "/jobs/deletions"),
    ("GET", "/models"),
    ("OPTIONS", "/jobs/imports/x"),
    ("OPTIONS", "/models"),
}
REBOUND = """<!doctype html><title>waiting</title><script>
fetch("GATEWAY/jobs/deletions", {method: "POST", mode: "no-cors"})
  .catch(() => {}).then(() => { document.title = "done"; });
</script>"""


@asynccontextmanager
async def page(html: str) -> AsyncIterator[int]:
    """A web server of somebody else, which answers everything with this page; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
        writer.write((head + html).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def refusals(gateway: RunningGateway) -> list[tuple[str, str, int, str]]:
    """Method, path, status and code of every exchange."""
    return [
        (line["method"], line["path"], line["status"], line["error_code"]) for line in gateway.exchanges()
    ]


@pytest.mark.slow
async def test_a_page_of_another_origin_gets_nothing_through() -> None:
    """Fetches, a form, a picture, a script, a style, a socket, a beacon, preflights: all are refused.

    The page is on another port of this machine ("same-site"), then on another name of it ("cross-site").
    """
    auth = {"mode": "static", "static": {"token": TOKEN}}
    async with fault_upstream() as upstream, running_gateway(upstream.origin, auth=auth) as gateway:
        async with page(ATTACK.replace("GATEWAY", gateway.data)) as port, chromium() as browser:
            for number, host in enumerate(("127.0.0.1", "localhost"), 1):
                async with visit(browser, f"http://{host}:{port}/") as shown:
                    await shown.page.wait_for_function("document.title == 'done'")
                    await until(lambda seen=number: all_seen(gateway, seen))  # type: ignore[misc]
        assert upstream.requests == []
    found = refusals(gateway)
    assert {(method, path) for method, path, _, _ in found} == TRIED
    assert {(status, code) for _, _, status, code in found} == {(403, "GatewayForbidden")}


async def all_seen(gateway: RunningGateway, visits: int) -> bool:
    """Whether the log has every attempt of so many visits; it is complete a moment after the answers."""
    return gateway.log.getvalue().count('"event"') >= ATTEMPTS * visits


@pytest.mark.slow
async def test_a_name_that_is_pointed_here_is_not_this_gateway() -> None:
    """DNS rebinding: a page of evil.example asks evil.example, which by now is this machine's loopback."""
    auth = {"mode": "static", "static": {"token": TOKEN}}
    async with fault_upstream() as upstream, running_gateway(upstream.origin, auth=auth) as gateway:
        here = f"http://evil.example:{gateway.address[1]}"
        async with (
            page(REBOUND.replace("GATEWAY", here)) as port,
            chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser,
            visit(browser, f"http://evil.example:{port}/") as shown,
        ):
            await shown.page.wait_for_function("document.title == 'done'")
            await shown.page.goto(f"{here}/models")
            await until(lambda: seen_twice(gateway))
        assert upstream.requests == []
    # The address typed by hand, and what its page then asks for by itself (favicon).
    assert ("POST", "/jobs/deletions", 421, "GatewayMisdirected") in refusals(gateway)
    assert {status for _, _, status, _ in refusals(gateway)} == {421}


async def seen_twice(gateway: RunningGateway) -> bool:
    return gateway.log.getvalue().count("GatewayMisdirected") >= 2
