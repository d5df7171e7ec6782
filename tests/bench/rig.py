"""Upstream, issuer, OTLP sink and gateways, each a process of its own on loopback.

A gateway runs with all its duties: a token of a real issuer, every request traced, metrics, and a log line
for each exchange (to /dev/null). It has one core, everything else has the others.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from tests.bench import processes
from tests.bench.client import Client, UnexpectedAnswerError

ENGINES = ("pyreqwest", "asyncio", "httpx")
JOB = "/jobs/imports/bench?api-version=2023-10-31"
READY_WITHIN = 30.0
SERVE = ("-m", "gateway", "serve")
UNPACED: Mapping[str, str] = MappingProxyType(
    {"JOBS__RATE": "0", "JOBS__COALESCE": "false", "JOBS__WATCH": "off"}
)
"""Each request for itself: what the proxy path costs, whatever the route."""
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")


class NotReadyError(Exception):
    """The gateway ended, or was not ready in time."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is ready."""

    engine: str
    process: "subprocess.Popen[str]"
    data: int
    """Port of the data listener."""
    admin: int
    ready_after: float
    """Seconds from the start of the process to the first 200 of /readyz."""

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid


@dataclass(frozen=True, slots=True)
class Rig:
    """What a gateway needs around it."""

    upstream: int
    sink: int
    gateway_cores: set[int]
    load_cores: set[int]

    @contextmanager
    def gateway(
        self,
        engine: str,
        *,
        program: tuple[str, ...] = SERVE,
        pipes: bool = False,
        settings: Mapping[str, str] = UNPACED,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> Iterator[Gateway]:
        """A ready gateway; raises NotReadyError. `pipes` opens its standard input and output.

        `settings` are keys besides those of every gateway here, or in their place; `variables` are variables
        of its environment that are no keys.
        """
        data, admin = processes.free_port(), processes.free_port()
        pipe = subprocess.PIPE if pipes else subprocess.DEVNULL
        began = time.perf_counter()
        with processes.running(
            *program,
            cores=self.gateway_cores,
            environ={**self._environ(engine, data, admin, settings), **variables},
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
        ) as process:
            _wait_until_ready(process, admin, began + READY_WITHIN)
            yield Gateway(engine, process, data, admin, time.perf_counter() - began)

    def _environ(self, engine: str, data: int, admin: int, settings: Mapping[str, str]) -> Mapping[str, str]:
        keys = {
            "UPSTREAM__BASE_URL": f"http://127.0.0.1:{self.upstream}",
            "UPSTREAM__ENGINE": engine,
            "LISTEN__PORT": str(data),
            "ADMIN__PORT": str(admin),
            "LIMITS__DRAIN_DELAY": "0",
            "AUTH__MODE": "oauth2",
            "AUTH__OAUTH2__TOKEN_URL": f"http://127.0.0.1:{self.sink}/token",
            "AUTH__OAUTH2__CLIENT_ID": "bench",
            "AUTH__OAUTH2__CLIENT_SECRET": "bench",
            "TRACING__ENDPOINT": f"http://127.0.0.1:{self.sink}/v1/traces",
            "TRACING__SAMPLE_RATIO": "1",
            **settings,
        }
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return kept | {f"ADT_GATEWAY_{name}": value for name, value in keys.items()}


@contextmanager
def open_rig() -> Iterator[Rig]:
    """Upstream and sink, for as long as the block lasts."""
    gateway_cores, load_cores = processes.cores_apart()
    with (
        processes.running("-m", "tests.bench.upstream", cores=load_cores, stdout=subprocess.PIPE) as upstream,
        processes.running("-m", "tests.bench.sink", cores=load_cores, stdout=subprocess.PIPE) as sink,
    ):
        yield Rig(
            upstream=int(processes.first_line(upstream)),
            sink=int(processes.first_line(sink)),
            gateway_cores=gateway_cores,
            load_cores=load_cores,
        )


def _wait_until_ready(process: "subprocess.Popen[str]", admin: int, deadline: float) -> None:
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise NotReadyError(f"the gateway ended with {process.returncode}")
        try:
            with Client(admin, timeout=1.0) as client:
                client.get("/readyz")
        except (OSError, UnexpectedAnswerError):
            time.sleep(0.002)
        else:
            return
    raise NotReadyError(f"the gateway was not ready within {READY_WITHIN:g} s")
