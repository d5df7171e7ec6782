"""An app that talks to a gateway over a socket of its own, and what it may rely on in every answer."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

from gateway.access_log import configure_logging
from gateway.app import Gateway, open_gateway
from tests.support import http1
from tests.support.gateway import API, RunningGateway, settings_for
from tests.support.raw import GUARD, RawClient, RawResponse, raw_client

MODELS = f"/models?{API}"
TWIN = f"/digitaltwins/t1?{API}"
IMPORT = f"/jobs/imports/job-1?{API}"
IMPORTS = f"/jobs/imports?{API}"
DELETIONS = f"/jobs/deletions?{API}"
QUERY = f"/query?{API}"
TELEMETRY = f"/digitaltwins/t1/telemetry?{API}"
"""Targets of the data plane: a page of models, a twin, jobs, a query, telemetry."""


@asynccontextmanager
async def opened_gateway(upstream: str, /, **sections: Any) -> AsyncIterator[Gateway]:
    """The parts of a gateway without its listeners, for a test that has to reach into them."""
    settings = settings_for(upstream, **sections)
    with closing(configure_logging(settings.log, io.StringIO())) as log:
        async with open_gateway(settings, {}, log) as gateway:
            yield gateway


def request(
    target: str = TWIN,
    method: str = "GET",
    headers: http1.Pairs | None = None,
    *,
    body: bytes | None = None,
    host: str = "localhost",
) -> bytes:
    """One request as bytes; a body gets a Content-Length."""
    lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: " + host.encode()]
    lines += [name + b": " + value for name, value in headers or []]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def chunked(*pieces: bytes) -> bytes:
    """A body in chunks, the last one included."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@asynccontextmanager
async def connected(gateway: RunningGateway) -> AsyncIterator[RawClient]:
    """A connection to the data listener."""
    async with raw_client(*gateway.address) as client:
        yield client


async def ask(
    gateway: RunningGateway,
    target: str = TWIN,
    method: str = "GET",
    headers: http1.Pairs | None = None,
    *,
    body: bytes | None = None,
    host: str = "localhost",
) -> RawResponse:
    """The answer to one request on a connection of its own."""
    return await told(gateway, request(target, method, headers, body=body, host=host), method)


async def told(gateway: RunningGateway, data: bytes, method: str = "GET") -> RawResponse:
    """The answer to these bytes on a connection of their own."""
    async with connected(gateway) as client:
        await client.send(data)
        return await client.response(method)


async def admin(gateway: RunningGateway, path: str) -> RawResponse:
    """What the admin listener says."""
    host, _, port = gateway.admin.rpartition("/")[2].rpartition(":")
    async with raw_client(host, int(port)) as client:
        await client.send(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return await client.response()


async def sample(gateway: RunningGateway, line: str) -> float:
    """The value of one sample of /metrics, named with its labels as the exposition has them; 0 if missing."""
    for row in (await admin(gateway, "/metrics")).body.decode().splitlines():
        if row.startswith(line + " "):
            return float(row.rpartition(" ")[2])
    return 0.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it holds. Raises TimeoutError where it never does."""
    async with asyncio.timeout(GUARD):
        while not await holds():  # noqa: ASYNC110 - the other side of a socket sets no event
            await asyncio.sleep(0.005)


async def logged_caller(gateway: RunningGateway, response: RawResponse) -> str | None:
    """What the log calls whoever got this answer; the line comes a moment after the answer."""
    trace_id = (response.value(b"traceresponse") or b"--").split(b"-")[1].decode()
    found: list[dict[str, Any]] = []

    async def written() -> bool:
        whole = gateway.log.getvalue().rpartition("\n")[0].splitlines()
        found.extend(
            json.loads(line) for line in whole[-20:] if f'"trace_id":"{trace_id}"' in line.replace(" ", "")
        )
        return bool(found)

    await until(written)
    name: str | None = found[0].get("caller")
    return name


def error_of(response: RawResponse, *, origin: str = "gateway") -> dict[str, Any]:
    """The `error` of a complete ErrorResponse, after all that holds for every error was checked."""
    assert response.complete
    assert response.status >= 400
    assert response.value(b"content-type") == b"application/json; charset=utf-8"
    assert response.value(b"content-length") == b"%d" % len(response.body)
    assert response.value(b"x-gateway-error-origin") == origin.encode()
    document = json.loads(response.body)
    assert set(document) == {"error"}
    error: dict[str, Any] = document["error"]
    assert response.value(b"x-ms-error-code") == error["code"].encode()
    assert error["message"]
    assert set(error) <= {"code", "message", "details", "innererror", "target"}
    assert_traced(response)
    return error


def assert_traced(response: RawResponse) -> None:
    """Exactly one well-formed `traceresponse`, as on every response."""
    version, trace_id, span_id, flags = (response.value(b"traceresponse") or b"").split(b"-")
    assert (version, len(trace_id), len(span_id), len(flags)) == (b"00", 32, 16, 2)
    assert int(trace_id, 16)
    assert int(span_id, 16)


def refused(response: RawResponse, status: int, code: str) -> str:
    """The message of a refusal, after which the connection is not used again."""
    error = error_of(response)
    assert (response.status, error["code"]) == (status, code)
    assert response.value(b"connection") == b"close"
    assert response.value(b"retry-after") is None
    return str(error["message"])
