"""`adt-gateway certs` in this process, a gateway configured as it says, and clients of it."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support import faults
from tests.support.checking import invoke
from tests.support.gateway import running_gateway
from tests.support.process import GUARD, environment
from tests.support.upstream import fault_upstream

EVENT_ROUTES = faults.reply(200, b'{"value": []}', [(b"Content-Type", b"application/json")])

TARGET = "/eventroutes?api-version=2023-10-31"


def make(folder: Path, *arguments: str) -> str:
    """Run the command in this directory; what it said."""
    ended = invoke("certs", "--dir", str(folder), *arguments)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def configuration(said: str) -> dict[str, object]:
    """The lines for the gateway's configuration, read as the TOML that they are."""
    block = said.partition("configuration:\n")[2].partition("How clients are told")[0]
    listen: dict[str, object] = tomllib.loads(block)["listen"]
    return listen


@asynccontextmanager
async def serving(said: str) -> AsyncIterator[str]:
    """A gateway that is configured as the command says; its port is free, so its URL is told."""
    async with (
        fault_upstream(EVENT_ROUTES) as upstream,
        running_gateway(upstream.origin, listen=configuration(said)) as gateway,
    ):
        assert gateway.data.startswith("https://127.0.0.1:")
        yield f"https://localhost:{gateway.address[1]}"


async def program(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run a program; its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=environment(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(GUARD):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
