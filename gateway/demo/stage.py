"""Bring everything up, run the scenario, print where to look, and take it down."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing

from rich.console import Console

from gateway.access_log import configure_logging
from gateway.config import Log, Settings
from gateway.demo.scenario import DemoFailed, Scenario
from gateway.emulator import EmulatorSettings, RunningEmulator, running_emulator
from gateway.listeners import Addresses
from gateway.serve import Stop, serve

_PORTS = {"emulator": 8090, "data": 8080, "admin": 9464}
_EXPORTS_TO = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


async def run_demo(console: Console, environ: Mapping[str, str], *, once: bool) -> None:
    """The whole demo. With `once` it ends after the scenario, else at SIGINT or SIGTERM.

    Raises DemoFailed when something was not as it should be.
    """
    stop = Stop()
    stop.on_signals()
    port = _port("emulator", console)
    async with running_emulator(EmulatorSettings(job_seconds=3.0), port=port) as azure:
        settings = _settings(azure, _port("data", console), _port("admin", console))
        async with _gateway(settings, environ, stop) as addresses:
            console.rule("Azure Digital Twins emulator, token issuer and gateway are up")
            _print_addresses(console, azure, addresses, environ)
            scenario = asyncio.create_task(Scenario(console, azure.url, addresses).run())
            stopped = asyncio.create_task(stop.asked.wait())
            await asyncio.wait((scenario, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not scenario.done():
                scenario.cancel()
                raise DemoFailed("it was stopped before its end")
            scenario.result()
            if not once:
                console.print("\nIt stays up for you to look at; Ctrl-C ends it.")
                _print_addresses(console, azure, addresses, environ)
                await stop.asked.wait()


def _settings(azure: RunningEmulator, data: int, admin: int) -> Settings:
    issuer = azure.emulator.state.settings
    return Settings.model_validate(
        {
            "upstream": {"base_url": azure.url},
            "listen": {"port": data},
            "admin": {"port": admin},
            "limits": {"drain_delay": 0},
            "auth": {
                "mode": "oauth2",
                "oauth2": {
                    "token_url": f"{azure.url}/{issuer.tenant}/oauth2/v2.0/token",
                    "client_id": issuer.client_id,
                    "client_secret": issuer.client_secret,
                },
            },
        }
    )


@asynccontextmanager
async def _gateway(settings: Settings, environ: Mapping[str, str], stop: Stop) -> AsyncIterator[Addresses]:
    ready: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    # The gateway's own lines would bury the story: only what goes wrong is shown.
    with closing(configure_logging(Log(level="warning", format="console"), sys.stderr)) as log:
        serving = asyncio.create_task(serve(settings, environ, log, stop, started=ready.set_result))
        await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        try:
            yield ready.result()
        finally:
            if not stop.asked.is_set():
                stop.ask()
            await serving


def _port(name: str, console: Console) -> int:
    """The usual port, or a free one where something else has it."""
    port = _PORTS[name]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            console.print(f"Port {port} is taken; the {name} listener gets a free one.")
            return 0
    return port


def _print_addresses(
    console: Console, azure: RunningEmulator, addresses: Addresses, environ: Mapping[str, str]
) -> None:
    unset = f"nowhere; set {_EXPORTS_TO[-1]} to a collector's address"
    endpoint = next((environ[name] for name in _EXPORTS_TO if environ.get(name)), unset)
    console.print(f"  gateway, for the app    {addresses.data}")
    console.print(f"  status page             {addresses.admin}/")
    console.print(f"  metrics                 {addresses.admin}/metrics")
    console.print(f"  jobs                    {addresses.admin}/api/jobs")
    console.print(f"  emulator                {azure.url}/_emulator/requests")
    console.print(f"  traces go to            {endpoint}")
