"""Apps that ask how jobs are doing, each its own gateway; a process of its own.

    python -m tests.stress.pollers PLAN

PLAN is the JSON of a `Polling`; prints the JSON of a `Polled`. An app whose gateway is gone tries again until
it is back. Times of the day are seconds since the epoch, to be compared with when a gateway was killed.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import uvloop

from tests.stress.client import App, connect, request_bytes

REFUSED = "refused"
CUT = "cut"
_AGAIN = 0.2
"""Seconds after which an app whose gateway is gone tries again."""
_ANSWERED_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Polling:
    """Who asks what, and how often."""

    ports: Sequence[int]
    targets: Sequence[str]
    apps: int
    seconds: float
    pause: float
    """Seconds between an answer and the next question, about."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no 200."""

    port: int
    began: float
    ended: float
    what: str


@dataclass(frozen=True, slots=True)
class Polled:
    """What came of it."""

    times: Sequence[float]
    """Seconds of each 200."""
    answers: Mapping[str, int]
    failures: Sequence[Failure] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All that got an answer, a refused connection or a cut one included."""
        return sum(self.answers.values())

    @classmethod
    def read(cls, text: str | bytes) -> "Polled":
        """From what the process printed."""
        told = json.loads(text)
        return cls(told["times"], told["answers"], [Failure(**each) for each in told["failures"]])


class _Pollers:
    def __init__(self, plan: Polling) -> None:
        self._plan = plan
        self._chance = random.Random(1)  # noqa: S311 - no secret
        self.times: list[float] = []
        self.answers: Counter[str] = Counter()
        self.failures: list[Failure] = []

    async def run(self) -> Polled:
        """All apps, to the end."""
        until = time.perf_counter() + self._plan.seconds
        await asyncio.gather(*(self._app(number, until) for number in range(self._plan.apps)))
        return Polled(self.times, dict(self.answers), self.failures)

    async def _app(self, number: int, until: float) -> None:
        ports, targets = self._plan.ports, self._plan.targets
        port = ports[number % len(ports)]
        request = request_bytes(port, targets[number // len(ports) % len(targets)])
        app: App | None = None
        await asyncio.sleep(self._chance.random() * self._plan.pause)
        while time.perf_counter() < until:
            app = await self._ask(port, app, request)
            pause = self._plan.pause * self._chance.uniform(0.8, 1.2) if app is not None else _AGAIN
            await asyncio.sleep(pause)
        if app is not None:
            app.transport.close()

    async def _ask(self, port: int, app: App | None, request: bytes) -> App | None:
        """One question; the connection, where it can be used again."""
        began, at = time.perf_counter(), time.time()
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                if app is None or not app.usable or app.transport.is_closing():
                    what = REFUSED
                    app = await connect(port)
                what = CUT
                answer = await app.ask(request)
        except TimeoutError:
            what = "no answer in time"
        except OSError:
            pass
        else:
            self.answers[answer.name] += 1
            if answer.status == 200:
                self.times.append(round(time.perf_counter() - began, 6))
            else:
                self.failures.append(Failure(port, at, time.time(), answer.name))
            return app
        self.answers[what] += 1
        self.failures.append(Failure(port, at, time.time(), what))
        if app is not None:
            app.transport.close()
        return None


def main() -> None:
    """The command line above."""
    polled = uvloop.run(_Pollers(Polling(**json.loads(sys.argv[1]))).run())
    json.dump(asdict(polled), sys.stdout)


if __name__ == "__main__":
    main()
