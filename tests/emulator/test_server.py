"""The listener, the paths in general and the blob path."""

import asyncio
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from gateway.emulator import EmulatorSettings, RunningEmulator, create_emulator, running_emulator
from tests.emulator.support import OPEN, error_of, raw_exchange, until_arrived

ROOT = Path(__file__).parents[2]
SERVE = """
import asyncio
from gateway.emulator import serve
asyncio.run(serve(port=0, on_ready=lambda running: print(running.url, flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_runs_until_a_signal(number: signal.Signals) -> None:
    """The process says when it is ready, answers, and ends with code 0 and no output on either signal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(base_url=url) as http:
        assert error_of(await http.get("/models")) == (401, "Unauthorized")
    process.send_signal(number)
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_port_in_use_is_an_os_error(running: RunningEmulator) -> None:
    """The caller gets the system's own error and can say it in one line."""
    port = httpx.URL(running.url).port
    assert port is not None
    with pytest.raises(OSError, match="in use"):
        async with running_emulator(OPEN, port=port):
            pytest.fail("it must not start")


async def test_url_of_an_ipv6_listener_has_brackets() -> None:
    """The URL can be used as it is."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    async with running_emulator(OPEN, "::1") as running, httpx.AsyncClient(base_url=running.url) as http:
        assert running.url.startswith("http://[::1]:")
        assert (await http.get("/models", params={"api-version": "2023-10-31"})).status_code == 200


async def test_stopping_ends_what_is_delayed() -> None:
    """A request in an endless delay does not keep the emulator from stopping; its connection ends."""
    async with running_emulator(OPEN) as running, httpx.AsyncClient(base_url=running.url) as http:
        await http.post("/_emulator/faults", json={"delay": 3600})
        waiting = asyncio.create_task(raw_exchange(running.url, b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n"))
        await until_arrived(running, http)
    assert await waiting == b""


async def test_unknown_paths_and_methods(http: httpx.AsyncClient) -> None:
    """404 for a path that does not exist, 405 with Allow for a method a path does not have."""
    for path in (
        "/",
        "/nowhere",
        "/jobs",
        "/jobs/imports/",
        "/jobs/imports/a/b",
        "/Jobs/imports",
        "/models/a/b/c",
    ):
        assert error_of(await http.get(path)) == (404, "NotFound")
    response = await http.post("/jobs/imports/job")
    assert error_of(response) == (405, "MethodNotAllowed")
    assert response.headers["Allow"] == "DELETE, GET, PUT"


async def test_head_is_get_without_a_body(http: httpx.AsyncClient) -> None:
    """Status and Content-Length are those of GET."""
    got, head = await http.get("/models"), await http.head("/models")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_api_version_is_required(bare: httpx.AsyncClient) -> None:
    """Without it 400, also for a HEAD; blobs and control need none."""
    assert error_of(await bare.get("/jobs/imports")) == (400, "MissingApiVersionParameter")
    response = await bare.get("/jobs/imports", params={"api-version": "1999-01-01"})
    assert error_of(response) == (400, "UnsupportedApiVersionValue")
    assert (await bare.put("/blob/c/b", content=b"x")).status_code == 201


async def test_request_id_is_on_every_answer_and_new_each_time(http: httpx.AsyncClient) -> None:
    """Errors and control have one too."""
    paths = ("/models", "/models", "/nowhere", "/blob/c/none", "/_emulator/settings")
    ids = {(await http.get(path)).headers["x-ms-request-id"] for path in paths}
    assert len(ids) == len(paths)


async def test_links_follow_the_host_or_the_public_url(bare: httpx.AsyncClient) -> None:
    """Absolute links have the Host the client used; public_url overrides it."""
    query = {"api-version": "2023-10-31"}
    response = await bare.post("/jobs/deletions", params=query, headers={"Host": "adt.example:81"})
    assert response.headers["Operation-Location"].startswith("http://adt.example:81/jobs/deletions/")
    settings = EmulatorSettings(verify_tokens=False, public_url="https://adt.example")
    async with running_emulator(settings) as running:
        response = await bare.post(f"{running.url}/jobs/deletions", params=query)
        assert response.headers["Operation-Location"].startswith("https://adt.example/jobs/deletions/")


async def test_large_body_is_refused() -> None:
    """More than max_body is 413, and the emulator goes on."""
    settings = EmulatorSettings(verify_tokens=False, max_body=1000)
    async with running_emulator(settings) as running, httpx.AsyncClient(base_url=running.url) as http:
        assert error_of(await http.put("/blob/c/b", content=b"x" * 1001)) == (413, "RequestEntityTooLarge")
        assert (await http.put("/blob/c/b", content=b"x" * 1000)).status_code == 201


async def test_blob_round_trip(http: httpx.AsyncClient) -> None:
    """Bytes come back as they went in, under names with folders; a SAS is tolerated; none is 404."""
    content = bytes(range(256))
    put = await http.put(
        "/blob/c/folder/b.bin?sig=x", content=content, headers={"x-ms-blob-type": "BlockBlob"}
    )
    assert (put.status_code, put.content) == (201, b"")
    got = await http.get("/blob/c/folder%2Fb.bin")
    assert (got.content, got.headers["ETag"]) == (content, put.headers["ETag"])
    assert put.headers["Last-Modified"] == "Mon, 06 May 2024 07:08:09 GMT"
    assert error_of(await http.get("/blob/c/none")) == (404, "BlobNotFound")
    assert error_of(await http.get("/blob/c")) == (404, "NotFound")


async def test_app_runs_without_a_listener() -> None:
    """Any ASGI server or test transport can run the app; only cutting a connection needs the listener."""
    transport = httpx.ASGITransport(create_emulator(OPEN).app)
    async with httpx.AsyncClient(transport=transport, base_url="http://adt") as http:
        assert (await http.get("/models", params={"api-version": "2023-10-31"})).json() == {"value": []}
        await http.post("/_emulator/faults", json={"cut": "before-head"})
        with pytest.raises(ConnectionAbortedError):
            await http.get("/models")
