"""The gateways that run in this process: whether each still answers, and what its pages tell."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.config import Settings
from tests.support.standing import PATIENCE
from tests.support.standing_secrets import SECRETS, secrets_of

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

PAGES = ("/livez", "/readyz?verbose", "/metrics", "/api/status", "/api/jobs")
"""What the admin listener tells; the first says that it is alive. The page shows what `/api/status` has."""


@dataclass(eq=False, slots=True)
class Watched:
    """A gateway, and how much of its log was read."""

    gateway: "RunningGateway"
    settings: Settings
    loop: asyncio.AbstractEventLoop
    read: int = 0

    @property
    def stopped(self) -> bool:
        """Whether the test ended it itself."""
        return self.gateway.stop.asked.is_set() or self.gateway.serving.done()

    def peers(self) -> set[int]:
        """The ports of those that it connects to."""
        oauth2, tracing = self.settings.auth.oauth2, self.settings.tracing
        urls = (
            self.settings.upstream.base_url,
            self.settings.upstream.proxy,
            oauth2.token_url,
            tracing.endpoint,
        )
        return {port for url in urls if url and (port := urlsplit(str(url)).port)}

    def read_log(self) -> None:
        """Look for secrets in what was logged since."""
        if self.gateway.log.closed:
            # Its test took the log away from under it.
            return
        text = self.gateway.log.getvalue()
        SECRETS.told("the log", text[self.read :])
        self.read = len(text)

    async def problems(self) -> list[str]:
        """Whether both listeners answer. Neither is sent a request, which would be counted."""
        addresses = [self.gateway.data, self.gateway.admin]
        try:
            async with asyncio.timeout(PATIENCE):
                for address in addresses:
                    await _ends_with_us(address)
        except (OSError, TimeoutError) as error:
            return [f"the gateway at {' and '.join(addresses)} does not answer: {error!r}"]
        return []

    async def look(self) -> None:
        """Look for secrets in every page and in the log; the gateway is alive."""
        self.read_log()
        if self.stopped:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                told = await _pages(self.gateway.admin, PAGES if SECRETS.armed else PAGES[:1])
        except (OSError, TimeoutError) as error:
            told = repr(error).encode()
        if not told.startswith(b"HTTP/1.1 200 "):
            SECRETS.found.append(f"the gateway at {self.gateway.admin} is not alive: {told[:200]!r}")
        SECRETS.told("the admin listener", told)

    def look_at_the_store(self) -> None:
        """Look for secrets in the file of the jobs, and what SQLite keeps beside it."""
        kind, _, path = self.settings.jobs.store.partition(":///")
        for file in Path("/" + path).parent.glob(Path(path).name + "*") if kind == "sqlite" else ():
            if file.is_file():
                SECRETS.told(f"the jobs store {file.name}", file.read_bytes())


_RUNNING: list[Watched] = []


@contextmanager
def watched(gateway: "RunningGateway", settings: Settings) -> Iterator[Watched]:
    """Watch a gateway for as long as the block lasts; its secrets are looked for from now on."""
    _add_secrets(settings)
    one = Watched(gateway, settings, asyncio.get_running_loop())
    _RUNNING.append(one)
    try:
        yield one
    finally:
        _RUNNING.remove(one)


def running(loops: Collection[asyncio.AbstractEventLoop]) -> list[Watched]:
    """The gateways that run on in these loops."""
    return [one for one in _RUNNING if one.loop in loops and not one.stopped]


def look_for_secrets_of(gateways: Collection[Watched]) -> None:
    """From now on look for their secrets, and for those of gateways that start later; forget all others."""
    SECRETS.forget()
    for one in gateways:
        _add_secrets(one.settings)


def _add_secrets(settings: Settings) -> None:
    for key, secret in secrets_of(settings):
        SECRETS.add(key, secret)


def is_ours(port: int) -> bool:
    """Whether a gateway that is watched has its data listener there."""
    return any(one.gateway.data.endswith(f":{port}") for one in _RUNNING)


async def _ends_with_us(address: str) -> None:
    """A connection that ends without a word is ended by the other side too, without a word."""
    reader, writer = await _connected(address)
    try:
        writer.write_eof()
        while await reader.read(65_536):
            continue
    finally:
        writer.transport.abort()


async def _pages(address: str, paths: Collection[str]) -> bytes:
    """The answers of the admin listener to one request each, on one connection."""
    reader, writer = await _connected(address)
    try:
        lines = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n" for path in paths]
        writer.write("\r\n".join([*lines[:-1], lines[-1] + "Connection: close\r\n\r\n"]).encode())
        return await reader.read(-1)
    finally:
        writer.transport.abort()


async def _connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition("/")[2].rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))
