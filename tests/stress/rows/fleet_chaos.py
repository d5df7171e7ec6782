"""kill -9 of a gateway or of the store every few seconds, under load, while job after job runs."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.report import Figure
from tests.stress.azure import VERSION, WINDOW, busiest, emulator
from tests.stress.fleet import SIZE, Fleet, fleet, unexcused
from tests.stress.pollers import Polled
from tests.stress.row import Outcome, Row, exactly, none
from tests.stress.rows.fleet import APPS, JOBS
from tests.stress.stage import Stage, percentile
from tests.stress.store import Server, single

BOUND = WINDOW + SIZE
"""Requests to ADT in a window: one a second, and one of each gateway when the store goes."""
_LASTS = 6.0
"""Seconds that a job runs."""
_PAUSE = 2.0
"""Seconds between an app's questions."""
_EVERY = (4.0, 9.0)
"""Seconds from one kill to the next."""
_GATEWAY_AWAY = (0.2, 2.0)
_STORE_AWAY = (0.5, 6.0)
_STORES = 0.3
"""Share of the kills that meet the store."""
_STILL = 0.3
"""Share of these in which it is stopped, and goes on later, with all connections."""
_SETTLED = 25.0
"""Seconds after which every end has been told."""
# A span that a killed gateway had not sent is gone, and is not what is asked for here: so it is sent at once.
_SETTINGS = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@dataclass(slots=True)
class Chaos:
    """What is killed, and how often it was."""

    gateways: Fleet
    store: Server
    stage: Stage
    kills: Counter[str] = field(default_factory=Counter)
    _store_is_away: bool = False
    _chance: random.Random = field(default_factory=lambda: random.Random(3))  # noqa: S311 - no secret

    async def go(self, seconds: float) -> None:
        """One kill after another for so long; at the end everything runs."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        mending: set[asyncio.Task[None]] = set()
        while (pause := self._chance.uniform(*_EVERY)) and loop.time() + pause < until:
            await asyncio.sleep(pause)
            mending = {task for task in mending if not task.done() or task.result()}
            mending.add(asyncio.ensure_future(self._kill()))
        await asyncio.gather(*mending)

    async def _kill(self) -> None:
        if self._chance.random() < _STORES and not self._store_is_away:
            await self._store()
            return
        place = self._chance.choice(
            [place for place, life in enumerate(self.gateways.lives) if life is not None]
        )
        self.kills["gateway"] += 1
        self.stage.say(f"{self.kills.total()} kills: gateway {place}")
        await self.gateways.kill(place)
        await asyncio.sleep(self._chance.uniform(*_GATEWAY_AWAY))
        await self.gateways.start(place)

    async def _store(self) -> None:
        """It is killed, or stands still; until it is back nothing more is done to it."""
        stands_still = self._chance.random() < _STILL
        what = "the store stands still" if stands_still else "store"
        self.kills[what] += 1
        self.stage.say(f"{self.kills.total()} kills: {what}")
        self._store_is_away = True
        await (self.store.pause() if stands_still else self.store.kill())
        await asyncio.sleep(self._chance.uniform(*_STORE_AWAY))
        await (self.store.go_on() if stands_still else self.store.start())
        self._store_is_away = False


async def run(stage: Stage) -> Outcome:
    """Load, jobs and kills for ten minutes; then what came of them."""
    seconds = stage.pick(600.0, 60.0)
    async with emulator(stage) as azure, single(stage.folder / "chaos", stage.load_cores) as store:
        past = await azure.have(JOBS, lasts=_LASTS)
        async with fleet(stage, azure, f"redis://127.0.0.1:{store.port}", more=_SETTINGS) as gateways:
            await azure.begin()
            chaos = Chaos(gateways, store, stage)
            targets = [f"/jobs/imports/{name}?{VERSION}" for name in past]
            polled, created, _ = await asyncio.gather(
                gateways.poll(targets, APPS, seconds, _PAUSE),
                gateways.imports(seconds - 10.0),
                chaos.go(seconds - 5.0),
            )
            stage.say("the dust settles")
            back = await gateways.until_up()
            await asyncio.sleep(stage.pick(_SETTLED, 12.0))
            await azure.look()
            outcome = Outcome(told(created, await gateways.ends()))
            outcome.promises.append(_failures(gateways, polled))
            watchers = await gateways.total("adt_gateway_fleet_watching")
            claims = await store.count("*:done:*")
    most = busiest([each.at for each in azure.arrivals])
    kills = ", ".join(f"{count} x {what}" for what, count in chaos.kills.items())
    outcome.promises += [
        Figure(f"requests to ADT in any {WINDOW:g} s", most, "", BOUND, "at most"),
        exactly("gateways that watch in the end", watchers, 1),
    ]
    outcome.measures += [
        Figure("kills", chaos.kills.total(), "", note=kills),
        Figure("ends that were claimed", claims, "", note=f"of {len(created) + len(past)} jobs"),
        Figure("429s of ADT", azure.refused(), "", note=f"of {len(azure.arrivals)} requests"),
        Figure(
            "p99", percentile(polled.times, 0.99), "ms", note=f"latest {max(polled.times, default=0):.1f} s"
        ),
        Figure("back at the store after the last kill", back, "s"),
    ]
    return outcome


def told(created: Sequence[str], ends: Mapping[str, int]) -> list[Figure]:
    """Whether the end of each job was told once."""
    lost = [name for name in created if not ends.get(name)]
    twice = [name for name, count in ends.items() if count > 1]
    return [
        none(
            "ends of jobs that were lost", len(lost), f"of {len(created)}; {', '.join(lost[:5])}".rstrip("; ")
        ),
        none("ends that were told twice", len(twice), f"of {len(ends)}; {', '.join(twice[:5])}".rstrip("; ")),
    ]


def _failures(gateways: Fleet, polled: Polled) -> Figure:
    failed = unexcused(polled.failures, gateways.gone)
    seen = Counter(each.what for each in failed)
    what = ", ".join(f"{count} x {name}" for name, count in seen.most_common(4))
    cut = len(polled.failures) - len(failed)
    note = f"of {polled.requests:,}; {cut} more at a gateway that was killed; {what}".rstrip("; ")
    return none("requests that failed", len(failed), note)


ROW = Row(
    "fleet-chaos",
    f"ten minutes of kill -9 of any of {SIZE} gateways, or of Redis (at times SIGSTOP), under {APPS} apps "
    "and job after job",
    f"no end lost or told twice, no request failed because of it, at most {BOUND:g} requests to ADT in any "
    f"{WINDOW:g} s",
    seconds=670,
    quick_seconds=95,
    run=run,
)
