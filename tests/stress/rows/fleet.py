"""Eight gateways and one store: 400 apps that follow one job, then 400 that follow 20."""

import asyncio

from tests.bench import processes
from tests.bench.report import Figure
from tests.stress.azure import VERSION, WINDOW, Azure, busiest, emulator
from tests.stress.fleet import SIZE, Fleet, fleet
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import Stage, percentile
from tests.stress.store import Server, single

APPS = 400
JOBS = 20
MEDIAN = 10.0
"""Milliseconds."""
LATEST = 5_000.0
"""Milliseconds."""
PER_REQUEST = 0.1
"""Operations on the store for each request of an app, on the hot path."""
_PAUSE = 1.0
"""Seconds between an app's questions."""
_LASTS = 86_400.0
"""Seconds that the job which is followed lasts."""
_OPERATIONS = "adt_gateway_fleet_operations_total"


async def run(stage: Stage) -> Outcome:
    """Nothing for some seconds, the apps of one job, the apps of 20."""
    outcome = Outcome()
    async with emulator(stage) as azure:
        past = await azure.have(JOBS - 1, lasts=_LASTS)
        status, _ = await azure.send("PUT", f"/jobs/imports/now?{VERSION}", azure.wanted("now"))
        if status != 201:
            raise OSError(f"the emulator created no job: {status}")
        async with (
            single(stage.folder / "store", stage.load_cores) as store,
            fleet(stage, azure, f"redis://127.0.0.1:{store.port}") as gateways,
        ):
            # The emulator counts each request, those above too.
            await asyncio.sleep(2.0)
            await _rest(stage, gateways, store, outcome)
            stage.say(f"{APPS} apps of one job")
            one = [f"/jobs/imports/now?{VERSION}"]
            times = await _load(stage, gateways, store, one, "one job", outcome)
            outcome.measures += [
                Figure("median, one job", percentile(times, 0.5), "ms", MEDIAN),
                Figure("p99, one job", percentile(times, 0.99), "ms"),
            ]
            stage.say(f"{APPS} apps of {JOBS} jobs")
            all_of_them = one + [f"/jobs/imports/{name}?{VERSION}" for name in past]
            times = await _load(stage, gateways, store, all_of_them, f"{JOBS} jobs", outcome)
            outcome.measures += [
                Figure(f"median, {JOBS} jobs", percentile(times, 0.5), "ms"),
                Figure(f"latest, {JOBS} jobs", max(times, default=0.0) * 1_000, "ms", LATEST),
            ]
    return outcome


async def _rest(stage: Stage, gateways: Fleet, store: Server, outcome: Outcome) -> None:
    """What a fleet costs its store while nobody asks."""
    seconds = stage.pick(20.0, 5.0)
    before, operations = await store.commands(), await gateways.total(_OPERATIONS)
    await asyncio.sleep(seconds)
    after, done = await store.commands(), await gateways.total(_OPERATIONS) - operations
    calls = {name: count - before.get(name, 0) for name, count in after.items()}
    calls = {name: count for name, count in calls.items() if count and name not in {"info", "ping"}}
    told = ", ".join(f"{count} {name}" for name, count in sorted(calls.items(), key=lambda each: -each[1]))
    rate = done / seconds / SIZE
    outcome.measures.append(
        Figure(
            "operations of a gateway per second without apps",
            rate,
            "",
            note=f"commands in {seconds:g} s: {told}",
        )
    )


async def _load(
    stage: Stage, gateways: Fleet, store: Server, targets: list[str], name: str, outcome: Outcome
) -> list[float]:
    """The apps; the seconds that each 200 took."""
    azure, seconds = gateways.azure, stage.pick(60.0, 12.0)
    await azure.begin()
    worked = sum(processes.cpu_seconds(gateway.pid) for gateway in gateways.alive)
    operations = await gateways.total(_OPERATIONS)
    busy = await store.figure("used_cpu_user") + await store.figure("used_cpu_sys")
    polled = await gateways.poll(targets, APPS, seconds, _PAUSE)
    worked = sum(processes.cpu_seconds(gateway.pid) for gateway in gateways.alive) - worked
    operations = await gateways.total(_OPERATIONS) - operations
    busy = await store.figure("used_cpu_user") + await store.figure("used_cpu_sys") - busy
    await azure.look()
    outcome.promises += [
        none(
            f"429s at apps of {name}", sum(n for answer, n in polled.answers.items() if answer[:3] == "429")
        ),
        none(f"other failures at apps of {name}", len(polled.failures), f"of {polled.requests:,}"),
        _budget(azure, name),
    ]
    outcome.measures += [
        Figure(f"operations for each request, {name}", operations / max(1, polled.requests), "", PER_REQUEST),
        Figure(f"CPU of the store, {name}", busy / seconds * 100, "% of a core"),
        Figure(f"429s of ADT, {name}", azure.refused(), "", note=_asked(azure)),
        Figure(f"CPU of the gateways together, {name}", worked / seconds * 100, "% of a core"),
    ]
    return list(polled.times)


def _asked(azure: Azure) -> str:
    lists = sum("/imports?" in each.target for each in azure.arrivals)
    return f"of {len(azure.arrivals)} requests, {lists} of them lists"


def _budget(azure: Azure, name: str) -> Figure:
    most = busiest([each.at for each in azure.arrivals])
    return Figure(f"requests to ADT in any {WINDOW:g} s, {name}", most, "", WINDOW, "at most")


ROW = Row(
    "fleet",
    f"{SIZE} gateways, one Redis, ADT at 1 jobs request/s: {APPS} apps of one job, {APPS} of {JOBS} jobs, "
    "each asks once a second",
    f"median under {MEDIAN:g} ms (one job), latest {LATEST / 1_000:g} s ({JOBS} jobs); 1 request/s to ADT in "
    f"any {WINDOW:g} s; no 429 at an app; under {PER_REQUEST:g} operations a request",
    seconds=165,
    quick_seconds=45,
    run=run,
)
