"""Debian's Prometheus in front of gateways, with the configuration and rules that are deployed.

async with running_prometheus(tmp_path, {"site": gateway.admin}, factor=60) as prometheus:
    await prometheus.until(prometheus.fired, lambda names: "AdtGatewayAbsent" in names["site"])

A rule's `for:` and its ranges are minutes to days, which no test can wait for. So the rules may be loaded as
a copy in which each duration is divided by a factor, see `tests.support.lapse`. A Prometheus looks for
targets every 5 s, so its first scrape comes up to 5 s after its start: few tests start one.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import yaml

from tests.support.azure import http_client
from tests.support.lapse import lapsed
from tests.support.programs import require_program

DEPLOYED = Path(__file__).parents[2] / "deploy" / "prometheus"
JOB = "adt-gateway"
GUARD = 30.0
"""Seconds after which something that should have happened is taken as a failure."""
PAUSE = 0.05
"""Seconds between two looks: a look costs Prometheus about a millisecond."""

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Series:
    """Labels, and the points of a series: Unix time and value, oldest first. An instant has one."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]

    @property
    def value(self) -> float:
        """The newest."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One exemplar: the series it stands at, its own labels, its value."""

    series: Mapping[str, str]
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus; every method asks its HTTP API, and raises AssertionError where that says no."""

    api: httpx.AsyncClient

    async def query(self, expression: str, at: float | None = None) -> list[Series]:
        """The expression now, or at a Unix time; a scalar has no labels, a range has all its samples."""
        data = await self._get("query", query=expression, **({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            return [Series({}, [_point(data["result"])])]
        return [_series(row) for row in data["result"]]

    async def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """The expression from `start` to `end` (Unix time), every `step` seconds."""
        data = await self._get("query_range", query=expression, start=start, end=end, step=step)
        return [_series(row) for row in data["result"]]

    async def exemplars(self, selector: str, since: float) -> list[Exemplar]:
        """Exemplars of the series selected, from `since` (Unix time) until now."""
        data = await self._get("query_exemplars", query=selector, start=since, end=time.time() + 1)
        return [
            Exemplar(row["seriesLabels"], each["labels"], float(each["value"]))
            for row in data
            for each in row["exemplars"]
        ]

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule of every group, as `/api/v1/rules` shows it."""
        return [rule for group in (await self._get("rules"))["groups"] for rule in group["rules"]]

    async def targets(self) -> list[dict[str, Any]]:
        """The active targets, as `/api/v1/targets` shows them."""
        active: list[dict[str, Any]] = (await self._get("targets", state="active"))["activeTargets"]
        return active

    async def metadata(self, family: str) -> set[str]:
        """The types that the targets gave a metric family."""
        return {row["type"] for row in await self._get("targets/metadata", metric=family)}

    async def fired(self) -> dict[str, set[str]]:
        """By namespace the names of the alerts that fire, or ever fired."""
        found = await self.query('max_over_time(ALERTS{alertstate="firing"}[1d])')
        names: dict[str, set[str]] = defaultdict(set)
        for series in found:
            names[series.labels.get("namespace", "")].add(series.labels["alertname"])
        return names

    async def until(
        self, read: Callable[[], Awaitable[Read]], holds: Callable[[Read], object], within: float = GUARD
    ) -> Read:
        """Read again and again until it holds; what was read then. AssertionError tells the last one."""
        deadline = time.monotonic() + within
        while not holds(seen := await read()):
            assert time.monotonic() < deadline, f"still after {within:g} s: {seen!r}"
            await asyncio.sleep(PAUSE)
        return seen

    async def until_series(self, expression: str, holds: Callable[[float], object] = lambda _: True) -> None:
        """Wait until the expression has a series whose value holds."""
        await self.until(
            lambda: self.query(expression), lambda found: any(holds(series.value) for series in found)
        )

    async def until_scraped(self, times: int = 2) -> None:
        """Wait until each target was scraped so often from now on."""
        start = time.time()

        async def fewest() -> float:
            since = max(round((time.time() - start) * 1000), 1)
            found = await self.query(f'count_over_time(up{{job="{JOB}"}}[{since}ms])')
            return min((series.value for series in found), default=0)

        await self.until(fewest, lambda count: count >= times)

    async def _get(self, path: str, **parameters: str | float) -> Any:
        told = (await self.api.get(path, params=parameters)).json()
        assert told["status"] == "success", (path, parameters, told)
        assert not told.get("warnings"), (path, parameters, told)
        return told["data"]


def configuration(text: str, targets: Mapping[str, str], interval: str) -> str:
    """The deployed configuration with other targets and intervals; it scrapes nothing but gateways.

    `targets` are base URLs of admin listeners, each by the namespace that its label tells. Raises
    AssertionError where `text` does not have one scrape job of ours.
    """
    told = yaml.safe_load(text)
    told["global"] = {
        **told.get("global", {}),
        **dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), interval),
    }
    jobs = [job for job in told["scrape_configs"] if job["job_name"] == JOB]
    assert len(jobs) == 1, told["scrape_configs"]
    for key in ("scrape_interval", "scrape_timeout"):
        jobs[0].pop(key, None)
    jobs[0]["static_configs"] = [
        {"targets": [urlsplit(target).netloc], "labels": {"namespace": namespace}}
        for namespace, target in targets.items()
    ]
    told["scrape_configs"] = jobs
    told.pop("alerting", None)
    return str(yaml.safe_dump(told, sort_keys=False))


def variables(seconds: float) -> dict[str, str]:
    """A dashboard's variables as Grafana fills them in for the last `seconds`; every gateway is chosen."""
    return {
        "job": JOB,
        "instance": ".+",
        "__rate_interval": "5s",
        "__range": f"{round(seconds * 1000)}ms",
        "__range_s": f"{seconds:.3f}",
    }


@asynccontextmanager
async def running_prometheus(
    folder: Path, targets: Mapping[str, str], *, factor: float = 1, interval: str = "250ms"
) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes these admin listeners until the block ends, its data in `folder`.

    `targets` as for `configuration`. With a `factor` of 1 the rule files are the deployed ones, byte by byte;
    else their durations are divided by it. Skips the test where the program is missing.
    """
    program = require_program("prometheus", "apt-get install prometheus")
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={_configured(folder, targets, factor, interval)}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
        "--log.format=json",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    log: list[str] = []
    draining: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(GUARD):
            address = await _address(process.stderr, log)
        draining = asyncio.create_task(_drain(process.stderr, log))
        async with http_client(f"http://{address}/api/v1/", params={}) as api:
            yield Prometheus(api)
        assert process.returncode is None, "".join(log)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if draining is not None:
            await draining


def _configured(folder: Path, targets: Mapping[str, str], factor: float, interval: str) -> Path:
    """Write configuration and rules into the folder; the configuration's file."""
    file = folder / "prometheus.yml"
    file.write_text(configuration((DEPLOYED / "prometheus.yml").read_text(), targets, interval))
    (folder / "rules").mkdir()
    for rules in sorted((DEPLOYED / "rules").glob("*.yml")):
        text = rules.read_text()
        (folder / "rules" / rules.name).write_text(text if factor == 1 else lapsed(text, factor))
    return file


async def _address(stream: asyncio.StreamReader, log: list[str]) -> str:
    """Where it listens, once it has loaded everything. Raises AssertionError where it ends instead."""
    address = ""
    while text := await stream.readline():
        log.append(text.decode())
        line = json.loads(text) if text.startswith(b"{") else {}
        if line.get("msg") == "Listening on":
            address = line["address"]
        if line.get("msg") == "Server is ready to receive web requests.":
            return address
    raise AssertionError("".join(log))


async def _drain(stream: asyncio.StreamReader, log: list[str]) -> None:
    while text := await stream.readline():
        log.append(text.decode())


def _series(row: Mapping[str, Any]) -> Series:
    return Series(row["metric"], [_point(each) for each in row.get("values") or [row["value"]]])


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
