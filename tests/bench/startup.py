"""Time to ready and idle memory."""

import statistics

from tests.bench import processes
from tests.bench.report import Figure
from tests.bench.rig import ENGINES, Rig

READY = 2.0
IDLE = 120.0


def measure(rig: Rig, starts: int) -> list[Figure]:
    """Start `starts` gateways of the default engine, one after the other, and one of the other."""
    seconds, memory, cpu = [], [], []
    for _ in range(starts):
        with rig.gateway(ENGINES[0]) as gateway:
            seconds.append(gateway.ready_after)
            cpu.append(processes.cpu_seconds(gateway.pid))
            memory.append(processes.resident(gateway.pid))
    with rig.gateway(ENGINES[1]) as gateway:
        other = processes.resident(gateway.pid)
    return [
        Figure("process start to ready", statistics.median(seconds), "s", READY, samples=seconds),
        Figure("its CPU time", statistics.median(cpu), "s", samples=cpu),
        Figure("idle RSS, pyreqwest", statistics.median(memory), "MiB", IDLE, samples=memory),
        Figure("idle RSS, httpx", other, "MiB", IDLE),
    ]
