"""Many pollers within one jobs request per second: the emulator keeps its limit, and nobody sees a 429."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench import processes
from tests.bench.azure import Arrived, Emulator, emulator
from tests.bench.pollers import Sample
from tests.bench.report import Figure
from tests.bench.rig import ENGINES, Rig

WINDOW = 10.0
"""Seconds over which the upstream's limit is counted."""
STALENESS = 1.0
"""`jobs.max_staleness` as it is by default."""
WIRE = 0.05
"""Seconds that an answer may be on its way."""
_OK = 200
_MILLI = 1_000


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the apps and the upstream saw of one run."""

    answers: Sequence[Sample]
    arrived: Sequence[Arrived]

    @property
    def refused(self) -> int:
        """Answers that were no 200."""
        return sum(status != _OK for status, *_ in self.answers)

    @property
    def waits(self) -> list[float]:
        """Seconds each answer took."""
        return [seconds for _, seconds, *_ in self.answers]

    @property
    def turns_waited(self) -> list[float]:
        """Seconds of the answers that were fetched: a kept one waits for nothing."""
        return [seconds for _, seconds, _, _, kept in self.answers if not kept]

    @property
    def upstream_rate(self) -> float:
        """Most upstream requests per second in any window of 10 s."""
        times = [each.at for each in self.arrived]
        return max((sum(start <= at < start + WINDOW for at in times) for start in times), default=0) / WINDOW

    @property
    def staleness(self) -> float:
        """Age in seconds of the oldest answer when it came, since its upstream request arrived."""
        arrived = {each.request_id: each.at for each in self.arrived}
        return max(came - arrived[request_id] for _, _, came, request_id, _ in self.answers)


def measure(rig: Rig, seconds: float) -> list[Figure]:
    """Three runs of `seconds`: 200 apps and one job; 20 apps and 20 jobs, batched and not."""
    with emulator(rig) as upstream:
        upstream.create_imports(20)
        one = _run(rig, upstream, seconds, apps=200, jobs=1)
        many = _run(rig, upstream, seconds, apps=20, jobs=20)
        alone = _run(rig, upstream, seconds, apps=20, jobs=20, batch="false")
    name = "200 apps, 1 job"
    figures = [
        Figure(f"{name}: upstream requests, any 10 s", one.upstream_rate, "/s", 1.0, "at most"),
        Figure(f"{name}: not a 200", one.refused, "", 0, "at most", note=f"of {len(one.answers):,} answers"),
        Figure(f"{name}: median answer", statistics.median(one.waits) * _MILLI, "ms", 5.0),
        Figure(
            f"{name}: oldest answer",
            one.staleness,
            "s",
            STALENESS + WIRE,
            "at most",
            note=f"{WIRE} s for both ways",
        ),
    ]
    name = "20 apps, 20 jobs"
    figures += [
        Figure(
            f"{name}: not a 200", many.refused, "", 0, "at most", note=f"of {len(many.answers):,} answers"
        ),
        Figure(f"{name}: slowest answer", max(many.waits), "s", 3.0),
        Figure(f"{name}: upstream requests, any 10 s", many.upstream_rate, "/s", 1.0, "at most"),
    ]
    name = "20 apps, 20 jobs, no batch"
    mean = statistics.mean(alone.turns_waited)
    figures += [
        Figure(
            f"{name}: not a 200", alone.refused, "", 0, "at most", note=f"of {len(alone.answers)} answers"
        ),
        Figure(
            f"{name}: slowest answer over the mean of those fetched",
            max(alone.waits) / mean,
            "x",
            2.0,
            note=f"mean {mean:.1f} s",
        ),
        Figure(f"{name}: upstream requests, any 10 s", alone.upstream_rate, "/s", 1.0, "at most"),
    ]
    return figures


def _run(rig: Rig, upstream: Emulator, seconds: float, *, apps: int, jobs: int, **settings: str) -> _Seen:
    before = len(upstream.arrived())
    with rig.gateway(ENGINES[0], settings=upstream.settings(**settings)) as gateway:
        arguments = ("-m", "tests.bench.pollers", str(gateway.data), str(apps), str(jobs), str(seconds))
        printed = processes.output_of(*arguments, cores=rig.load_cores, within=seconds + 90)
    answers: list[Sample] = [tuple(each) for each in json.loads(printed)]
    return _Seen(answers, upstream.arrived()[before:])
