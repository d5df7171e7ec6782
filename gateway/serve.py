"""Two listeners (data, admin) in one process and one loop; readiness, drain, shutdown.

    SIGTERM -> not ready -> keep accepting for `limits.drain_delay`, with Connection: close
            -> stop listening -> finish what is in flight, until `limits.drain_timeout` is over
            -> close the admin listener -> flush spans -> exit 0

A second signal ends it at once. uvicorn stays behind this file and `server`: nothing else knows it.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import uvicorn

from gateway.access_log import LogOutput
from gateway.admin.replies import refused
from gateway.app import Gateway, open_gateway
from gateway.arrival import REFUSAL, Receive, Scope, Send
from gateway.config import Limits, Settings
from gateway.crowd import bounded_protocol, room
from gateway.listeners import BACKLOG, Addresses, Listeners
from gateway.server import Server
from gateway.tls import ListenerTls

_ADMIN_GRACE = 1
"""Seconds an admin request under way gets to end; a scraper that does not read holds nobody up."""
_ADMIN_CONNECTIONS = 64
"""Held at once: probes, scrapers and some open pages."""
_log = logging.getLogger("gateway.serve")


class Stop:
    """Asked once: drain. Asked twice: end now."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.now = asyncio.Event()

    def ask(self) -> None:
        """Ask for the end; safe to call from a signal handler of the loop."""
        if self.asked.is_set():
            self.now.set()
        self.asked.set()

    def on_signals(self) -> None:
        """Be asked by SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)


async def serve(
    settings: Settings,
    environ: Mapping[str, str],
    log: LogOutput,
    stop: Stop,
    *,
    started: Callable[[Addresses], None] = lambda _: None,
) -> None:
    """Run until `stop` is asked for, then drain; `started` is told the addresses once both listeners accept.

    Raises ListenError when an address cannot be bound; nothing is half started then.
    """
    listeners = Listeners(settings)
    try:
        tls = ListenerTls(settings.listen.tls) if settings.listen.tls.certificate_file else None
        async with open_gateway(settings, environ, log) as gateway:
            data = Server(_data_config(gateway, settings, tls), handshake=settings.limits.head_timeout)
            admin = Server(_admin_config(gateway, settings.limits), handshake=settings.limits.head_timeout)
            # Left in reverse order: data finishes what is in flight, and only then does admin go.
            async with (
                _beside(_force(stop, data, admin)),
                _beside(_follow(tls)),
                _beside(gateway.callers.follow()),
                _running(admin, listeners.admin),
                _running(data, listeners.data),
            ):
                _log.info(
                    "listening", extra={"data": listeners.addresses.data, "admin": listeners.addresses.admin}
                )
                started(listeners.addresses)
                await stop.asked.wait()
                await _say_goodbye(gateway, settings.limits.drain_delay, stop)
    finally:
        listeners.close()


def settle() -> None:
    """Tune the interpreter for a process that serves and does little else; call it once, at the start.

    It may hold as many connections as this machine allows; many start a process with room for 1,024 files.
    What was made so far stays, so the collector need not look at it again (measured: 6 % fewer instructions
    a request). Threads hand the interpreter over sooner, so that a request does not wait 5 ms behind a batch
    of spans that is being encoded (measured: p99 at one connection 8.2 to 5.6 ms).
    """
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    sys.setswitchinterval(0.0005)


@contextlib.asynccontextmanager
async def _running(server: Server, listener: socket.socket) -> AsyncIterator[None]:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait((serving, listening), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield
    finally:
        listening.cancel()
        server.leave()
        await serving


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Run it for as long as the block lasts; if it fails before, that is told at once."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("bug", exc_info=error)


async def _force(stop: Stop, *servers: Server) -> None:
    await stop.now.wait()
    for server in servers:
        server.force_exit = True


async def _follow(tls: ListenerTls | None) -> None:
    if tls is not None:
        await tls.follow()


async def _say_goodbye(gateway: Gateway, delay: float, stop: Stop) -> None:
    """Tell readiness, go on serving for `delay` seconds with Connection: close, then take nothing more."""
    _log.info("draining")
    gateway.drain.begin()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay):
            await stop.now.wait()
    gateway.drain.close()


def _config(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        backlog=BACKLOG,
        **more,
    )


def _admin_config(gateway: Gateway, limits: Limits) -> uvicorn.Config:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = scope.get(REFUSAL)
        app = gateway.admin_app if refusal is None else refused(refusal)
        await app(scope, receive, send)

    protocol = bounded_protocol(limits, _ADMIN_CONNECTIONS, newest_first=True)
    return _config(answer, http=protocol, timeout_graceful_shutdown=_ADMIN_GRACE)


def _data_config(gateway: Gateway, settings: Settings, tls: ListenerTls | None) -> uvicorn.Config:
    limits = settings.limits
    return _config(
        # What Starlette's own call would look up for each request, in a coroutine more.
        gateway.data_app.middleware_stack or gateway.data_app,
        http=bounded_protocol(limits, room(settings)),
        timeout_keep_alive=max(1, round(limits.keep_alive)),
        timeout_graceful_shutdown=max(1, round(limits.drain_timeout - limits.drain_delay)),
        ssl_context_factory=tls and (lambda *_: tls.context),
    )
