"""The program and its commands serve, demo and emulator; the others have files of their own."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from gateway.cli import jobs
from gateway.cli.certs import certs
from gateway.cli.check import check
from gateway.cli.options import FAILED, Config, Version, cautioned, complaints, configured, refuse
from gateway.config import ConfigurationError, Settings

if TYPE_CHECKING:
    from gateway.emulator import RunningEmulator

app = typer.Typer(
    name="adt-gateway",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="A sidecar for apps that use Azure Digital Twins: traces, tokens, one error shape, job metrics.",
)


@app.callback()
def _root(*, version: Version = False) -> None:
    del version


@app.command()
def serve(*, config: Config = None, version: Version = False) -> None:
    """Run the gateway: a data listener for the app, an admin listener for Prometheus and Kubernetes.

    Example: ADT_GATEWAY_UPSTREAM__BASE_URL=https://<instance>.api.<region>.digitaltwins.azure.net
    adt-gateway serve
    """
    del version
    settings = _load(config)
    # Imported here, so that --help and check stay fast.
    from gateway.access_log import configure_logging  # noqa: PLC0415
    from gateway.listeners import ListenError  # noqa: PLC0415
    from gateway.serve import Stop, settle  # noqa: PLC0415
    from gateway.serve import serve as run  # noqa: PLC0415
    from gateway.spans import TracingConfigError  # noqa: PLC0415

    async def until_signal() -> None:
        stop = Stop()
        stop.on_signals()
        await run(settings, os.environ, log, stop, started=lambda _: settle())

    with closing(configure_logging(settings.log, sys.stderr)) as log:
        try:
            _run(until_signal())
        except (ListenError, TracingConfigError) as error:
            refuse(str(error))


@app.command()
def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Exit by itself; 0 when all went as it should, else 1.")
    ] = False,
    version: Version = False,
) -> None:
    """Show it all on this machine: emulator, token issuer, gateway, and a client without credentials."""
    del version
    from gateway.demo import DemoFailed, run_demo  # noqa: PLC0415 - as in serve
    from gateway.spans import TracingConfigError  # noqa: PLC0415

    try:
        _run(run_demo(Console(highlight=False, soft_wrap=True), os.environ, once=once))
    except DemoFailed as error:
        complaints.print(f"[red]The demo did not go as it should:[/] {escape(str(error))}", markup=True)
        raise typer.Exit(FAILED) from None
    except TracingConfigError as error:
        refuse(str(error))
    except KeyboardInterrupt:
        raise typer.Exit from None


@app.command()
def emulator(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8090,
    version: Version = False,
) -> None:
    """Run the Azure Digital Twins jobs emulator and its token issuer alone."""
    del version
    from gateway import emulator as room  # noqa: PLC0415 - as in serve

    try:
        _run(room.serve(host, port, room.EmulatorSettings(rate_limit=1.0), on_ready=_introduce))
    except OSError as error:
        refuse(f"--port: cannot listen on {host}:{port}: {error.strerror}")


app.command()(check)
app.command()(certs)
app.add_typer(jobs.app)


def _introduce(running: "RunningEmulator") -> None:
    issuer = running.emulator.state.settings
    typer.echo(f"""The emulator listens on {running.url}; Ctrl-C ends it. A gateway in front of it:

  export ADT_GATEWAY_UPSTREAM__BASE_URL={running.url}
  export ADT_GATEWAY_AUTH__MODE=oauth2
  export ADT_GATEWAY_AUTH__OAUTH2__TOKEN_URL={running.url}/{issuer.tenant}/oauth2/v2.0/token
  export ADT_GATEWAY_AUTH__OAUTH2__CLIENT_ID={issuer.client_id}
  export ADT_GATEWAY_AUTH__OAUTH2__CLIENT_SECRET={issuer.client_secret}
  adt-gateway serve
""")


def _load(config: Path | None) -> Settings:
    try:
        settings = configured(config)
    except ConfigurationError as error:
        refuse(*map(str, error.problems))
    cautioned(settings)
    return settings


def _run(main_coroutine: Coroutine[object, object, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main_coroutine)
        return
    import uvloop  # noqa: PLC0415 - not on Windows

    uvloop.run(main_coroutine)
