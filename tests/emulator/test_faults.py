"""Faults over a real socket: which requests they are for, and what goes over the wire."""

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest

from gateway.emulator import RunningEmulator
from gateway.emulator.strange import NAMED
from tests.emulator.support import VERSION, error_of, import_body, raw_exchange, until_arrived

LIST = f"GET /jobs/imports?api-version={VERSION} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def add(http: httpx.AsyncClient, **fault: Any) -> int:
    response = await http.post("/_emulator/faults", json=fault)
    assert response.status_code == 201, response.text
    number: int = response.json()["id"]
    return number


async def test_fault_answers_once_by_default(http: httpx.AsyncClient) -> None:
    """Status, headers with duplicates in order, and body are sent as given; then all is well again."""
    headers = [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["Retry-After", "7"]]
    await add(http, status=418, headers=headers, body="short and stout")
    response = await http.get("/jobs/imports")
    assert (response.status_code, response.text) == (418, "short and stout")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-ms-request-id"]
    assert (await http.get("/jobs/imports")).status_code == 200


async def test_fault_is_for_matching_requests_only(http: httpx.AsyncClient) -> None:
    """Method, raw path and pattern limit it; skip lets some through; times counts; null is for ever."""
    await add(http, status=500, method="POST", times=None)
    await add(http, status=501, path="/jobs/imports/j%201", times=2)
    await add(http, status=502, pattern=r"^/models\?.*version", skip=1)
    assert (await http.get("/jobs/imports")).status_code == 200
    for _ in range(3):
        assert (await http.post("/jobs/deletions")).status_code == 500
    statuses = [(await http.get("/jobs/imports/j%201")).status_code for _ in range(3)]
    assert statuses == [501, 501, 404]
    assert [(await http.get("/models")).status_code for _ in range(3)] == [200, 502, 200]


async def test_control_is_never_faulty(http: httpx.AsyncClient) -> None:
    """A fault for everything can still be seen and removed, alone or with all others."""
    first, second = await add(http, status=500, times=None), await add(http, status=501, times=None)
    listed = (await http.get("/_emulator/faults")).json()["faults"]
    assert [item["id"] for item in listed] == [first, second]
    assert (await http.delete(f"/_emulator/faults/{first}")).status_code == 204
    assert (await http.get("/models")).status_code == 501
    assert (await http.get("/_emulator/faults")).json()["faults"][0]["hits"] == 1
    assert (await http.delete("/_emulator/faults")).status_code == 204
    assert (await http.get("/models")).status_code == 200
    assert error_of(await http.delete(f"/_emulator/faults/{first}")) == (404, "FaultNotFound")


async def test_operation_is_left_out_or_carried_out(
    http: httpx.AsyncClient, running: RunningEmulator
) -> None:
    """A replaced answer is of an operation that never ran; with execute it ran and its answer is lost."""
    body = import_body(running.url)
    await add(http, status=503)
    assert (await http.put("/jobs/imports/job", json=body)).status_code == 503
    assert (await http.get("/jobs/imports/job")).status_code == 404
    await add(http, cut="before-head", execute=True)
    with pytest.raises(httpx.RemoteProtocolError):
        await http.put("/jobs/imports/job", json=body)
    assert (await http.get("/jobs/imports/job")).status_code == 200


async def test_headers_alone_are_added_to_the_real_answer(http: httpx.AsyncClient) -> None:
    """A fault that replaces nothing only changes the operation's answer."""
    await add(http, headers=[["x-extra", "1"]])
    response = await http.get("/jobs/imports")
    assert (response.status_code, response.json(), response.headers["x-extra"]) == (200, {"value": []}, "1")


async def test_cut_before_the_head_sends_no_byte(http: httpx.AsyncClient, running: RunningEmulator) -> None:
    """The connection ends without a single byte, and the journal has the request without a status."""
    await add(http, cut="before-head")
    assert await raw_exchange(running.url, LIST) == b""
    assert running.emulator.state.journal.entries[-1].status is None


async def test_reset_is_a_tcp_reset(http: httpx.AsyncClient, running: RunningEmulator) -> None:
    """The peer sees ECONNRESET instead of an end of file."""
    await add(http, cut="reset")
    with pytest.raises(ConnectionResetError):
        await raw_exchange(running.url, LIST)


@pytest.mark.parametrize("length", [0, 1, 10])
async def test_cut_within_the_body_looks_truncated(
    http: httpx.AsyncClient, running: RunningEmulator, length: int
) -> None:
    """The head promises the whole body, and the connection ends after so many bytes of it."""
    await add(http, status=200, body="0123456789abcdef", cut=length)
    head, _, body = (await raw_exchange(running.url, LIST)).partition(b"\r\n\r\n")
    assert b"content-length: 16" in head.lower()
    assert body == b"0123456789abcdef"[:length]


async def test_cut_of_a_chunked_body_lacks_the_last_chunk(
    http: httpx.AsyncClient, running: RunningEmulator
) -> None:
    """Without a Content-Length truncation shows by the missing end of the chunks."""
    await add(http, status=200, headers=[["Transfer-Encoding", "chunked"]], body="0123456789", cut=4)
    assert (await raw_exchange(running.url, LIST)).endswith(b"\r\n\r\n4\r\n0123\r\n")


async def test_body_in_pieces(http: httpx.AsyncClient) -> None:
    """A slow body arrives piece by piece and whole."""
    await add(http, status=200, body="0123456789", chunk_delay=0.01, chunk_size=4)
    async with http.stream("GET", "/jobs/imports") as response:
        pieces = [piece async for piece in response.aiter_raw()]
    assert b"".join(pieces) == b"0123456789"


async def test_client_that_leaves_ends_the_delay(http: httpx.AsyncClient, running: RunningEmulator) -> None:
    """A delay is over when its client is gone: the emulator stops without waiting for it."""
    await add(http, delay=3600)
    parts = httpx.URL(running.url)
    _, writer = await asyncio.open_connection(parts.host, parts.port)
    writer.write(LIST)
    await writer.drain()
    await until_arrived(running, http)
    writer.close()
    await writer.wait_closed()
    assert (await http.get("/jobs/imports")).status_code == 200


async def test_delay_comes_before_the_answer(http: httpx.AsyncClient) -> None:
    """The answer still arrives, after the delay."""
    await add(http, delay=0.01)
    assert (await http.get("/jobs/imports")).status_code == 200


@pytest.mark.parametrize("kind", [name for name, _ in NAMED])
async def test_every_strange_error_has_a_failing_status(http: httpx.AsyncClient, kind: str) -> None:
    """Each name is served, as an error; status and body may be overridden."""
    await add(http, kind=kind)
    async with http.stream("GET", "/jobs/imports") as response:
        await anext(response.aiter_raw(), b"")
        assert response.status_code >= 400
    await add(http, kind=kind, status=599)
    async with http.stream("GET", "/jobs/imports") as response:
        assert response.status_code == 599


async def test_strange_errors_are_strange(http: httpx.AsyncClient) -> None:
    """The ones a client most easily gets wrong are on the wire what their names say."""

    async def get(kind: str) -> httpx.Response:
        await add(http, kind=kind)
        return await http.get("/jobs/imports")

    empty = await get("empty-403")
    assert (empty.content, empty.headers["content-length"]) == (b"", "0")
    assert "content-type" not in empty.headers
    mismatch = await get("mismatch")
    assert mismatch.headers["x-ms-error-code"] != mismatch.json()["error"]["code"]
    header_only = await get("header-only")
    assert (header_only.content, header_only.headers["x-ms-error-code"]) == (b"", "AuthorizationFailed")
    assert (await get("sub-domain-not-found")).json() == {
        "statusCode": 404,
        "message": "Sub-domain not found.",
    }
    assert (await get("problem-json")).headers["content-type"] == "application/problem+json"
    truncated = await get("truncated-json")
    assert truncated.headers["content-type"] == "application/json"
    with pytest.raises(json.JSONDecodeError):
        truncated.json()
    await add(http, kind="gzip-json")
    async with http.stream("GET", "/jobs/imports") as packed:
        raw = b"".join([piece async for piece in packed.aiter_raw()])
    assert json.loads(gzip.decompress(raw))["error"]["code"] == "InternalError"
    assert (
        'error="insufficient_claims", claims="' in (await get("claims-challenge")).headers["www-authenticate"]
    )


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "none"},
        {"status": 99},
        {"status": 600},
        {"status": "500"},
        {"delay": -1},
        {"times": 0},
        {"skip": -1},
        {"cut": -1},
        {"cut": "later"},
        {"chunk_size": 0},
        {"pattern": "("},
        {"body": "x", "body_base64": "eA=="},
        {"body_base64": "?"},
        {"unknown": 1},
        {"headers": [["bad name", "x"]]},
        {"headers": [["name", "x\r\ny"]]},
        {"headers": [["name", "\u20ac"]]},
        [],
    ],
)
async def test_bad_faults_are_refused(http: httpx.AsyncClient, fault: object) -> None:
    """A fault that makes no sense is 400 InvalidFault and is not set."""
    assert error_of(await http.post("/_emulator/faults", json=fault)) == (400, "InvalidFault")
    assert (await http.get("/_emulator/faults")).json()["faults"] == []


async def test_faults_are_bounded(http: httpx.AsyncClient) -> None:
    """The hundred-and-first is refused."""
    for _ in range(100):
        await add(http, status=500)
    assert error_of(await http.post("/_emulator/faults", json={"status": 500})) == (400, "InvalidFault")


async def test_body_of_an_answer_without_body_is_dropped(http: httpx.AsyncClient) -> None:
    """A 204 or 304 stays exact whatever body the fault has."""
    for status in (204, 304):
        await add(http, status=status, body="x")
        response = await http.get("/jobs/imports")
        assert (response.status_code, response.content) == (status, b"")
        assert "content-length" not in response.headers
