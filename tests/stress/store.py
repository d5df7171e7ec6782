"""The store of a fleet: real redis-server processes, which can be killed and started again."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import processes

_UP_WITHIN = 20.0
_INSTALL = "apt-get install redis-server redis-sentinel redis-tools"


class StoreError(OSError):
    """A store's program is missing, or did not do what it should."""


@dataclass(slots=True)
class Server:
    """A redis-server, or with `--sentinel` a Sentinel, on a port of its own."""

    folder: Path
    cores: set[int]
    options: Sequence[str] = ()
    program: str = "redis-server"
    config: str | None = None
    """Text of a configuration file, which a Sentinel rewrites."""
    probe: Sequence[str] = ("ping",)
    """What redis-cli is told to find out whether it answers."""
    port: int = field(default_factory=processes.free_port)
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Up to the first PONG. Raises StoreError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [self.program]
        if self.config is not None:
            path = self.folder / "server.conf"
            if not path.exists():
                path.write_text(self.config)
            command.append(str(path))
        command += ["--port", str(self.port), "--dir", str(self.folder), "--bind", "127.0.0.1", *self.options]
        with (self.folder / "log").open("ab") as log:
            try:
                self.process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
            except FileNotFoundError as error:
                raise StoreError(f"{self.program} is not installed: {_INSTALL}") from error
        processes.pin(self.process.pid, self.cores)
        async with asyncio.timeout(_UP_WITHIN):
            while (await self.ask(*self.probe)).strip() != "PONG":
                if self.process.returncode is not None:
                    raise StoreError(f"{self.program} ended: {(self.folder / 'log').read_text()[-1000:]}")
                await asyncio.sleep(0.05)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.returncode is None

    async def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def pause(self) -> None:
        """SIGSTOP: connections stay, and nothing is answered."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    async def go_on(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    async def ask(self, *words: str) -> str:
        """What redis-cli prints for a command; empty where there is no server."""
        process = await asyncio.create_subprocess_exec(
            *("redis-cli", "-p", str(self.port), *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        printed, _ = await process.communicate()
        return printed.decode(errors="replace")

    async def commands(self) -> dict[str, int]:
        """Commands so far by name, those that scripts called too (INFO commandstats)."""
        told = await self.ask("info", "commandstats")
        found = re.findall(r"^cmdstat_([^:\r\n]+):calls=(\d+)", told, re.MULTILINE)
        return {name: int(calls) for name, calls in found}

    async def figure(self, name: str) -> float:
        """A number of INFO; 0 where there is none."""
        told = re.search(rf"^{re.escape(name)}:([0-9.]+)", await self.ask("info"), re.MULTILINE)
        return float(told[1]) if told else 0.0

    async def count(self, pattern: str) -> int:
        """Keys that match."""
        return len((await self.ask("--scan", "--pattern", pattern)).split())


@asynccontextmanager
async def single(folder: Path, cores: set[int], *options: str) -> AsyncIterator[Server]:
    """One server, which keeps what it is given in a file that is synced each second."""
    server = Server(folder, cores, ("--appendonly", "yes", "--save", "", *options))
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@asynccontextmanager
async def watched(folder: Path, cores: set[int]) -> AsyncIterator[tuple[list[Server], list[Server]]]:
    """A primary with a replica, and three Sentinels that call it `fleet`; the first is the primary."""
    async with AsyncExitStack() as there:

        async def started(server: Server) -> Server:
            await server.start()
            there.push_async_callback(server.kill)
            return server

        primary = await started(Server(folder / "primary", cores, ("--save", "")))
        replica = Server(
            folder / "replica", cores, ("--save", "", "--replicaof", "127.0.0.1", str(primary.port))
        )
        await started(replica)
        watch = (
            f"sentinel monitor fleet 127.0.0.1 {primary.port} 2\n"
            "sentinel down-after-milliseconds fleet 1000\n"
            "sentinel failover-timeout fleet 5000\n"
        )
        sentinels = [
            await started(
                Server(folder / f"sentinel-{number}", cores, program="redis-sentinel", config=watch)
            )
            for number in range(3)
        ]
        await _until_linked(sentinels[0])
        yield [primary, replica], sentinels


async def _until_linked(sentinel: Server) -> None:
    """Until it knows the replica and the other Sentinels. Raises TimeoutError."""
    async with asyncio.timeout(_UP_WITHIN):
        while "slaves=1,sentinels=3" not in await sentinel.ask("info", "sentinel"):  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.1)


@asynccontextmanager
async def cluster(folder: Path, cores: set[int]) -> AsyncIterator[list[Server]]:
    """Three primaries with a replica each."""
    options = ("--save", "", "--cluster-enabled", "yes", "--cluster-node-timeout", "1500")
    async with AsyncExitStack() as there:
        nodes = []
        for number in range(6):
            # Where it is not told, the port for the other nodes is 10,000 above, which may be too high.
            bus = ("--cluster-port", str(processes.free_port()))
            node = Server(folder / f"node-{number}", cores, (*options, *bus))
            nodes.append(node)
            await node.start()
            there.push_async_callback(node.kill)
        hosts = [f"127.0.0.1:{node.port}" for node in nodes]
        create = ("--cluster", "create", *hosts, "--cluster-replicas", "1", "--cluster-yes")
        await nodes[0].ask(*create)
        async with asyncio.timeout(_UP_WITHIN):
            while not await _whole(nodes):  # noqa: ASYNC110 - in other processes
                await asyncio.sleep(0.1)
        yield nodes


async def _whole(nodes: Sequence[Server]) -> bool:
    """Whether every node says that all slots are served, and half of them are replicas that are in step."""
    told = [await node.ask("cluster", "info") for node in nodes]
    roles = [await node.ask("info", "replication") for node in nodes]
    in_step = sum("master_link_status:up" in role for role in roles)
    return all("cluster_state:ok" in each for each in told) and in_step == len(nodes) // 2
