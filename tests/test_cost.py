"""What a request costs in work that is counted, not timed: no change makes it dearer unseen.

A time says little on a machine that others use. Bytecodes and calls into C are the same from run to run to
half a percent; what they leave out, the work below such a call, is for `make bench` to see.
"""

import json
import signal
import sys

import pytest

from tests.bench.client import Client
from tests.bench.rig import JOB, Gateway, open_rig

REQUESTS = 100
TOLERANCE = 0.1
COST = {
    "pyreqwest": {"bytecodes": 5_200, "calls": 174},
    "asyncio": {"bytecodes": 5_330, "calls": 163},
    "httpx": {"bytecodes": 53_800, "calls": 1_988},
}
"""By engine: what a GET of a job takes with all duties, every request traced."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="each Python has bytecodes of its own"),
]


def counts(gateway: Gateway) -> dict[str, int]:
    """What was counted so far."""
    stdin, stdout = gateway.process.stdin, gateway.process.stdout
    assert stdin is not None
    assert stdout is not None
    stdin.write("\n")
    stdin.flush()
    told: dict[str, int] = json.loads(stdout.readline())
    return told


@pytest.mark.parametrize("engine", COST)
def test_cost_of_a_read(engine: str) -> None:
    """Within a tenth of what is written down; what became cheaper is to be written down as well."""
    program = ("-m", "tests.support.counted", "serve")
    with (
        open_rig() as rig,
        rig.gateway(engine, program=program, pipes=True) as gateway,
        Client(gateway.data, timeout=30) as client,
    ):
        for _ in range(50):
            client.get(JOB)
        gateway.process.send_signal(signal.SIGUSR1)
        for _ in range(10):
            client.get(JOB)
        before = counts(gateway)
        for _ in range(REQUESTS):
            client.get(JOB)
        after = counts(gateway)
    for name, kept in COST[engine].items():
        cost = (after[name] - before[name]) / REQUESTS
        assert kept * (1 - TOLERANCE) <= cost <= kept * (1 + TOLERANCE), f"{cost:.0f} {name} a request"
