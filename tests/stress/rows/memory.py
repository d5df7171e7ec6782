"""Large bodies, and a reader that stalls: memory is bounded by configuration, not by peers."""

import asyncio
import hashlib
import socket
import time
from collections.abc import Callable

from tests.bench import pattern, processes
from tests.bench.client import Client
from tests.bench.report import Figure
from tests.stress.client import HOST, request_bytes
from tests.stress.gateway import Gateway
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import Process, Stage
from tests.support.issuer import Issuer

GROWTH = 32.0
"""MiB over the memory before."""
_ENGINES = ("pyreqwest", "asyncio", "httpx")
_LARGE = "/digitaltwins/large"
_WARM = 8 << 20
_MIB = 1 << 20
_PIECE = 1 << 18


async def run(stage: Stage) -> Outcome:
    """Down, up, and down to a reader that stalls, on every engine."""
    size, stalled = (64 << 20, 16 << 20) if stage.quick else (1 << 30, 256 << 20)
    outcome = Outcome()
    digests = {each: await asyncio.to_thread(pattern.digest, each) for each in (size, stalled, _WARM)}
    async with Issuer() as issuer, stage.upstream() as upstream, stage.collector() as collector:
        for engine in _ENGINES:
            async with stage.gateway(upstream, issuer, collector, engine=engine) as gateway:
                await _engine(stage, gateway, upstream, engine, digests, outcome)
    return outcome


async def _engine(
    stage: Stage, gateway: Gateway, upstream: Process, engine: str, digests: dict[int, str], outcome: Outcome
) -> None:
    size, stalled, _ = digests
    stall = stage.pick(10.0, 2.0)
    moves: dict[str, tuple[int, Callable[[int], str]]] = {
        f"{size // _MIB:,} MiB down": (size, lambda size: _download(gateway.data, size)),
        f"{size // _MIB:,} MiB up": (size, lambda size: _upload(gateway.data, size)),
        f"{stalled // _MIB} MiB to a reader that stalls for {stall:g} s": (
            stalled,
            lambda size: _stalled(gateway.data, size, stall if size == stalled else 0.0),
        ),
    }
    for name, (wanted, move) in moves.items():
        stage.say(f"{engine}: {name}")
        await asyncio.to_thread(move, _WARM)
        base = processes.resident(gateway.pid)
        processes.reset_peak(gateway.pid)
        digest = await asyncio.to_thread(move, wanted)
        grown = processes.peak(gateway.pid) - base
        outcome.promises.append(none(f"{engine}, {name}: hashes that differ", digest != digests[wanted]))
        outcome.measures.append(
            Figure(f"{engine}, {name}: memory at its peak over that before", grown, "MiB", GROWTH, "at most")
        )


def _download(port: int, size: int) -> str:
    with Client(port) as client:
        return client.download(f"{_LARGE}?size={size}")


def _upload(port: int, size: int) -> str:
    with Client(port) as client:
        return client.upload(_LARGE, size)


def _stalled(port: int, size: int, stall: float) -> str:
    """Ask, take nothing for `stall` seconds, then read all; the SHA-256. Raises ConnectionError if cut."""
    digest = hashlib.sha256()
    with socket.create_connection((HOST, port), timeout=60) as connection:
        connection.sendall(request_bytes(port, f"{_LARGE}?size={size}"))
        time.sleep(stall)
        data = b""
        while b"\r\n\r\n" not in data:
            data += _received(connection)
        body = data.partition(b"\r\n\r\n")[2]
        while size > 0:
            digest.update(body)
            size -= len(body)
            body = _received(connection) if size > 0 else b""
    return digest.hexdigest()


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(_PIECE)
    if not data:
        raise ConnectionError("the body was cut")
    return data


ROW = Row(
    "memory",
    "1 GiB down, 1 GiB up, 256 MiB to a reader that stalls; every engine",
    f"peak at most {GROWTH:g} MiB over the memory before; hashes equal",
    seconds=60,
    quick_seconds=20,
    run=run,
)
