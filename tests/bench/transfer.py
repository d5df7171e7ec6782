"""Large bodies in constant memory: what the peak of the gateway's memory lies over its idle memory."""

import time
from collections.abc import Callable

from tests.bench import pattern, processes
from tests.bench.client import Client
from tests.bench.report import Figure
from tests.bench.rig import JOB, Gateway, Rig

GROWTH = 32.0
"""MiB; what counts as constant memory: buffers of some connections, and nothing that grows with the body."""
_LARGE = "/digitaltwins/large"
_MIB = 1_048_576


class CorruptBodyError(Exception):
    """The body that arrived is not the one that was sent."""


def measure(rig: Rig, engine: str, size: int) -> list[Figure]:
    """Download and upload of `size` bytes through a gateway of its own."""
    digest = pattern.digest(size)
    shown = f"{size // _MIB} MiB"
    with rig.gateway(engine) as gateway, Client(gateway.data) as client:
        client.timings(JOB, 20)
        down = _one(gateway, digest, lambda: client.download(f"{_LARGE}?size={size}"))
        up = _one(gateway, digest, lambda: client.upload(_LARGE, size))
    figures = []
    for name, (grown, seconds) in {"download": down, "upload": up}.items():
        figures += [
            Figure(
                f"{shown} {name}, peak RSS over idle, {engine}", grown, "MiB", GROWTH, note="sha256 equal"
            ),
            Figure(f"{shown} {name}, speed, {engine}", size / _MIB / seconds, "MiB/s"),
        ]
    return figures


def _one(gateway: Gateway, digest: str, move: Callable[[], str]) -> tuple[float, float]:
    """MiB the memory grew at its peak, and the seconds it took; raises CorruptBodyError."""
    idle = processes.resident(gateway.pid)
    processes.reset_peak(gateway.pid)
    began = time.perf_counter()
    arrived = move()
    seconds = time.perf_counter() - began
    if arrived != digest:
        raise CorruptBodyError(f"{arrived} arrived, {digest} was sent")
    return processes.peak(gateway.pid) - idle, seconds
