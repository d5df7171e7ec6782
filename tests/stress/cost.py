"""What each call of a fleet's script costs its store: `python -m tests.stress.cost`.

Prints the CPU time of a redis-server for each call, and for each call that tells others, with so many that
hear it. A minute on a quiet machine; the figures are those of the README's chapter on the size of a fleet.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.fleet.keys import Keys
from gateway.fleet.script import read_script
from tests.stress.stage import settle_down
from tests.stress.store import Server, single

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_CALLS = 20_000
_HEARERS = (10, 100, 1_000)
_JOB, _PAGE = "x" * 900, "x" * 20_000
"""An answer about one job, and a page of a list with some 40."""
_KEYS = Keys("contoso.api.weu.digitaltwins.azure.net")
_READ = (_KEYS.of("read", "a"), _KEYS.of("lead", "a"), _KEYS("forgot"))
_JOBS = (_KEYS("space", "jobs"), _KEYS("space", "jobs", "until"))
_CHANNEL = _KEYS.channel
_PUBLISH: tuple[str | int, ...] = (_CHANNEL, "me", 0, _DAY, "key")

CASES: Sequence[tuple[str, str, Sequence[str], Sequence[str | int]]] = (
    ("look whether the store is there", "begin", (), ("me",)),
    ("reserve a turn", "reserve", (_KEYS("turns"),), (1_020_000, 0)),
    ("hold or renew a lock", "hold", (_KEYS.of("lock", "watch"),), ("me", 6 * _SECOND)),
    ("claim an end", "claim", (_KEYS.of("done", "a"),), ("me",)),
    ("look, nothing there", "look", _READ, ("me", 2 * _SECOND)),
    ("publish, 0.9 kB", "publish", _READ, (*_PUBLISH, _JOB)),
    ("look, 0.9 kB there", "look", _READ, ("me", 2 * _SECOND)),
    ("publish, 20 kB", "publish", _READ, (*_PUBLISH, _PAGE)),
    ("look, 20 kB there", "look", _READ, ("me", 2 * _SECOND)),
    (
        "put a job, 0.7 kB",
        "put",
        _JOBS,
        (_CHANNEL, "me", "jobs", "__rand_int__", "x" * 700, 8 * _DAY, 10_000),
    ),
)


class Bench:
    """A server that knows the script."""

    def __init__(self, server: Server, life: str) -> None:
        self._server = server
        self._life = life

    async def cost(
        self, verb: str, keys: Sequence[str], words: Sequence[str | int], calls: int = _CALLS
    ) -> float:
        """Microseconds of CPU for each call."""
        script = read_script()
        # The look whether the store is still there brings the whole script.
        which = ["EVAL", script.source] if verb == "begin" else ["EVALSHA", script.digest]
        command = [*which, str(1 + len(keys)), _KEYS("life"), *keys, verb, "", self._life, *map(str, words)]
        refused = await self._server.ask(*command)
        if "ERR" in refused or "ADTLIFE" in refused:
            raise OSError(f"the store refuses {verb}: {refused}")
        before = await self._busy()
        port = str(self._server.port)
        process = await asyncio.create_subprocess_exec(
            *("redis-benchmark", "-p", port, "-n", str(calls), "-r", "1000", "-c", "8", "-q", *command),
            stdout=asyncio.subprocess.DEVNULL,
        )
        await process.wait()
        return (await self._busy() - before) / calls * 1e6

    async def _busy(self) -> float:
        return await self._server.figure("used_cpu_user") + await self._server.figure("used_cpu_sys")

    @asynccontextmanager
    async def heard_by(self, count: int) -> AsyncIterator[None]:
        """So many connections hear what is told."""
        hearing = [await asyncio.open_connection("127.0.0.1", self._server.port) for _ in range(count)]
        for _, writer in hearing:
            writer.write(f"SUBSCRIBE {_CHANNEL}\r\n".encode())
        tasks = [asyncio.ensure_future(_drain(reader)) for reader, _ in hearing]
        yield
        for _, writer in hearing:
            writer.close()
        await asyncio.gather(*tasks)


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 20):
        pass


async def run() -> None:
    """Each call, then a publish with hearers."""
    _, cores = settle_down()
    with tempfile.TemporaryDirectory() as folder:
        async with single(Path(folder), cores) as server:
            script = read_script()
            began = await server.ask("eval", script.source, "1", _KEYS("life"), "begin", "", "", "life")
            bench = Bench(server, began.split()[0])
            for name, verb, keys, words in CASES:
                say(name, await bench.cost(verb, keys, words))
            for count in _HEARERS:
                async with bench.heard_by(count):
                    cost = await bench.cost("publish", _READ, (*_PUBLISH, _JOB), _CALLS // count)
                    say(f"publish, 0.9 kB, heard by {count:,}", cost)


def say(name: str, cost: float) -> None:
    """One line."""
    print(f"{name:32} {cost:8.1f} µs")  # noqa: T201 - what the command is for


if __name__ == "__main__":
    asyncio.run(run())
