"""An upstream that means harm: what it sends costs the gateway bounded memory and time."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import API
from tests.support.process import Serving, serving
from tests.support.raw import RawResponse, raw_client
from tests.support.upstream import Behaviour, Call, FaultUpstream
from tests.support.wire import request, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

MIB = 1_048_576
MORE = {"httpx": 32 * MIB, "": 16 * MIB}
"""What such answers may add to the most that ordinary ones take.

The event loop reads up to 32 pieces of 256 KiB before httpx's streams can tell it to stop.
"""
AT_ONCE = 4
LARGE = 50 * MIB
GZIP = (b"content-encoding", b"gzip")
OK = b"HTTP/1.1 200 OK\r\n"
TYPE = b"Content-Type: application/json\r\n"
BOMB = gzip.compress(bytes(48 * MIB), mtime=0)
ERROR = b"HTTP/1.1 500 Oops\r\n" + TYPE


def _framed(head: bytes, body: bytes) -> Behaviour:
    return faults.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


class _Endless:
    """The piece again and again, until the gateway breaks the connection."""

    def __init__(self, start: bytes, piece: bytes) -> None:
        self._start = start
        self._piece = piece
        self.under_way = 0

    async def __call__(self, call: Call) -> None:
        await call.body()
        self.under_way += 1
        try:
            await call.send(self._start)
            while True:
                await call.send(self._piece)
                # A socket that takes everything would leave the loop no time for others.
                await asyncio.sleep(0)
        except ConnectionError:
            call.close()
        finally:
            self.under_way -= 1


BAD, TIMEOUT = (502, b"GatewayBadUpstreamResponse"), (504, b"GatewayUpstreamTimeout")
NORMALISED = (500, b"InternalServerError")
SHAPES: dict[str, tuple[Behaviour, str, dict[str, tuple[int, bytes | None]]]] = {
    "a header of 1 MiB": (faults.raw(OK + b"X-A: " + b"a" * MIB + b"\r\n\r\n"), "/a", {"": BAD}),
    "10,000 headers": (faults.raw(OK + b"X-A: 1\r\n" * 10_000 + b"\r\n"), "/a", {"": BAD}),
    "a header without an end": (_Endless(OK + b"X-A: ", b"a" * 65_536), "/a", {"": BAD}),
    "headers without an end": (_Endless(OK, b"X-A: 1\r\n" * 4_096), "/a", {"": BAD}),
    "interim answers without an end": (
        _Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000),
        "/a",
        {"pyreqwest": TIMEOUT, "": BAD},
    ),
    "100,000 interim answers": (
        faults.raw(b"HTTP/1.1 103 Early\r\n\r\n" * 100_000 + OK + b"Content-Length: 0\r\n\r\n"),
        "/a",
        {"pyreqwest": (200, None), "": BAD},
    ),
    "a gzip bomb as error": (_framed(ERROR + b"Content-Encoding: gzip\r\n", BOMB), "/a", {"": NORMALISED}),
    "a gzip bomb as page": (
        _framed(OK + TYPE + b"Content-Encoding: gzip\r\n", BOMB),
        "/models",
        {"": (200, None)},
    ),
    "deep JSON as error": (_framed(ERROR, b"[" * 65_000), "/a", {"": NORMALISED}),
    "deep JSON as page": (_framed(OK + TYPE, b'{"a":' * 200_000), "/models", {"": (200, None)}),
    "many small members as page": (_framed(OK + TYPE, b"[" + b"{}," * 340_000), "/models", {"": (200, None)}),
    "trailers without an end": (
        _Endless(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: 1\r\n" * 4_096),
        "/a",
        {"": (200, None)},
    ),
    "an extension without an end": (
        _Endless(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 65_536),
        "/a",
        {"": (200, None)},
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[Serving]:
    """A gateway in a process of its own, with short deadlines."""
    environ = {
        "ADT_GATEWAY_UPSTREAM__BASE_URL": module_upstream.origin,
        "ADT_GATEWAY_UPSTREAM__ENGINE": engine,
        "ADT_GATEWAY_UPSTREAM__TIMEOUT__FIRST_BYTE": "5",
        "ADT_GATEWAY_UPSTREAM__TIMEOUT__HEAD_TOTAL": "5",
        "ADT_GATEWAY_UPSTREAM__TIMEOUT__READ_IDLE": "5",
        # What it keeps open would look like a leak of the test.
        "ADT_GATEWAY_UPSTREAM__POOL_IDLE": "0.2",
        "ADT_GATEWAY_UPSTREAM__CIRCUIT__FAILURES": "0",
        "ADT_GATEWAY_RETRY__ATTEMPTS": "1",
        "ADT_GATEWAY_AUTH__MODE": "none",
        "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
    }
    async with serving(environ) as process:
        # What is loaded and allocated once is no answer's fault.
        module_upstream.reset()
        module_upstream.on("/error", faults.reply(500, gzip.compress(b"{}", mtime=0), [GZIP]))
        module_upstream.on("/models", faults.reply(200, b'{"value":[],"nextLink":"' + b"a" * 900_000 + b'"}'))
        module_upstream.on("/large", _download(200))
        for path in ("/error", "/models", "/other"):
            await _all_at_once(process, path)
        await _sizes(process, "/large")
        yield process


def _download(status: int, *, chunked: bool = False) -> Behaviour:
    async def behaviour(call: Call) -> None:
        await faults.Download(LARGE, chunked=chunked, status=status)(call)

    return behaviour


async def _all_at_once(running: Serving, path: str) -> list[RawResponse]:
    return await asyncio.gather(*(_answer(running, path) for _ in range(AT_ONCE)))


async def _answer(running: Serving, path: str) -> RawResponse:
    async with raw_client(*running.address) as client:
        await client.send(request(f"{path}?{API}"))
        return await client.response()


async def _over(endless: _Endless) -> bool:
    return endless.under_way == 0


async def _sizes(running: Serving, path: str) -> list[int]:
    return await asyncio.gather(*(_size(running, path) for _ in range(2)))


async def _size(running: Serving, path: str) -> int:
    async with raw_client(*running.address) as client:
        await client.send(request(f"{path}?{API}"))
        return (await client.digest())[1]


def _peak(process: Serving) -> int:
    """The most memory the process has had since it was last forgotten, in bytes."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _forget_peak(process: Serving) -> int:
    Path(f"/proc/{process.process.pid}/clear_refs").write_text("5")
    return _peak(process)


@pytest.mark.parametrize("shape", SHAPES)
async def test_memory_is_bounded(running: Serving, engine: str, upstream: FaultUpstream, shape: str) -> None:
    """Four such answers at once add no more than the bound, are read not for long, and leave no trace."""
    behaviour, path, outcomes = SHAPES[shape]
    upstream.on(path, behaviour)
    before = _forget_peak(running)
    responses = await _all_at_once(running, path)
    status, code = outcomes.get(engine, outcomes.get("", (0, None)))
    for response in responses:
        assert response.status == status, response.head
        assert code is None or response.value(b"x-ms-error-code") == code
    if isinstance(behaviour, _Endless):
        # An engine may read on for a while what the gateway has given up.
        await until(lambda: _over(behaviour))
    assert _peak(running) - before <= MORE.get(engine, MORE[""])
    upstream.on(path, faults.reply(200, b"next"))
    assert (await _answer(running, path)).body == b"next"


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_errors_stream(running: Serving, upstream: FaultUpstream, *, chunked: bool) -> None:
    """Two errors of 50 MiB at once, with and without a length, pass unread and whole."""
    upstream.on("/a", _download(500, chunked=chunked))
    before = _forget_peak(running)
    assert await _sizes(running, "/a") == [LARGE] * 2
    assert _peak(running) - before <= MORE[""]
