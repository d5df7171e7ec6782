"""A whole gateway on real sockets, in the test's own event loop."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

from gateway.access_log import configure_logging
from gateway.config import Settings
from gateway.listeners import Addresses
from gateway.serve import Stop, serve
from tests.support.standing_gateways import watched

API = "api-version=2023-10-31"

PLAIN = {"rate": 0, "max_staleness": 0, "terminal_staleness": 0, "watch": "off"}
"""Every jobs request goes out as it comes, and none of the gateway's own: for tests of other promises."""

ALWAYS_ASKED = {"failures": 0}
"""A circuit that never opens: many tests of many faults share one gateway, and none may end the next."""


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """`data` and `admin` are base URLs; `log` collects what was written to standard error."""

    data: str
    admin: str
    stop: Stop
    log: io.StringIO
    serving: "asyncio.Task[None]"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the data listener."""
        host, _, port = self.data.rpartition("/")[2].rpartition(":")
        return host.strip("[]"), int(port)

    def lines(self) -> list[dict[str, Any]]:
        """Every log line so far; complete only once the gateway has stopped."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def exchanges(self) -> list[dict[str, Any]]:
        """The lines that tell an exchange."""
        return [line for line in self.lines() if line.get("event") == "exchange"]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, the second over the first."""
    out = dict(base)
    for key, value in over.items():
        out[key] = merged(out[key], value) if isinstance(value, Mapping) and key in out else value
    return out


def settings_for(upstream: str, /, **sections: Any) -> Settings:
    """Settings that suit a test: free ports, no delay, token, pacing or circuit, and what is given."""
    base = {
        "upstream": {"base_url": upstream, "circuit": ALWAYS_ASKED},
        "listen": {"port": 0},
        "admin": {"port": 0},
        "auth": {"mode": "none"},
        "limits": {"drain_delay": 0},
        "jobs": PLAIN,
    }
    return Settings.model_validate(merged(base, sections))


@asynccontextmanager
async def running_gateway(
    upstream: str, /, environ: Mapping[str, str] | None = None, **sections: Any
) -> AsyncIterator[RunningGateway]:
    """Serve until the block ends, then drain; the log is complete after that."""
    settings = settings_for(upstream, **sections)
    stop, output = Stop(), io.StringIO()
    ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    with closing(configure_logging(settings.log, output)) as log:
        serving = asyncio.create_task(serve(settings, environ or {}, log, stop, started=ready.set_result))
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        addresses = ready.result()
        gateway = RunningGateway(addresses.data, addresses.admin, stop, output, serving)
        with watched(gateway, settings) as watch:
            try:
                yield gateway
                await watch.look()
            finally:
                if not stop.asked.is_set():
                    stop.ask()
                await serving
    watch.read_log()
    watch.look_at_the_store()
