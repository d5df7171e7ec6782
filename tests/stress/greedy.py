"""Apps that ask again as soon as they have an answer; a process of its own.

    python -m tests.stress.greedy PORT APPS SECONDS TARGET PAUSE

An app that is refused pauses: PAUSE is `retry-after` for what the answer says (half a second less or more, as
clients do that spread their tries), or a number of seconds. Prints the JSON of a `Harvest`.
"""

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import uvloop

from tests.stress.client import App, connect, request_bytes


@dataclass(frozen=True, slots=True)
class Harvest:
    """What came of it."""

    times: Mapping[str, Sequence[float]]
    """Seconds by answer."""
    broken: int
    """Requests without a whole answer."""
    seconds: float

    def count(self, answer: str) -> int:
        """How many of this answer came."""
        return len(self.times.get(answer, ()))


class _Greed:
    def __init__(self, port: int, until: float, target: str, pause: str) -> None:
        self._port, self._until, self._pause = port, until, pause
        self._request = request_bytes(port, target)
        self._chance = random.Random(1)  # noqa: S311 - no secret
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.broken = 0

    async def app(self, first: float) -> None:
        """One app, which asks for the first time after `first` seconds."""
        await asyncio.sleep(first)
        app = await connect(self._port)
        while (began := time.perf_counter()) < self._until:
            if not app.usable:
                app.transport.close()
                app = await connect(self._port)
            await self._ask(app, began)
        app.transport.close()

    async def _ask(self, app: App, began: float) -> None:
        try:
            answer = await app.ask(self._request)
        except ConnectionError:
            self.broken += 1
            return
        self.times[answer.name].append(round(time.perf_counter() - began, 6))
        if answer.status == 503:
            said = (answer.retry_after or 1.0) + self._chance.uniform(-0.5, 0.5)
            pause = said if self._pause == "retry-after" else float(self._pause)
            await asyncio.sleep(min(pause, self._until - time.perf_counter()))


async def _run(port: int, apps: int, seconds: float, target: str, pause: str) -> Harvest:
    began = time.perf_counter()
    greed = _Greed(port, began + seconds, target, pause)
    async with asyncio.timeout(seconds + 60):
        await asyncio.gather(*(greed.app(number / apps) for number in range(apps)))
    return Harvest(dict(greed.times), greed.broken, time.perf_counter() - began)


def main() -> None:
    """The command line above."""
    port, apps, seconds, target, pause = sys.argv[1:]
    harvest = uvloop.run(_run(int(port), int(apps), float(seconds), target, pause))
    json.dump(asdict(harvest), sys.stdout)


if __name__ == "__main__":
    main()
