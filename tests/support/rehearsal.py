"""Apps at work on the official SDK, whose every request is sent until it is answered: what outlives a restart
of the gateway between them and the service.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from azure.core.exceptions import ServiceRequestError
from azure.digitaltwins.core.aio import DigitalTwinsClient

from gateway.emulator import sample
from gateway.emulator.journal import Entry
from tests.support.sdk import sdk_options

MODEL = "dtmi:com:example:campus:Space;1"
PACE = 0.02
"""Seconds between two rounds of an app."""
PATIENT: dict[str, Any] = {
    "retry_total": 200,
    "retry_connect": 200,
    "retry_status": 200,
    "retry_read": 200,
    "retry_backoff_factor": 0.05,
    "retry_backoff_max": 0.25,
}
"""The SDK's own retries, only more and sooner: after a 503 whatever the method is, after a refused connection
unless it is a POST.
"""


@dataclass(slots=True)
class App:
    """One app. `twins` and `messages` are the ids of the writes that were answered with a success."""

    name: str
    twins: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    read: int = 0
    job: list[str] = field(default_factory=list)
    """Statuses of the job, in the order they were told."""

    @property
    def answered(self) -> int:
        """Requests that were answered."""
        return len(self.twins) + len(self.messages) + self.read + len(self.job)

    async def work(self, gateway: str, job_id: str, over: asyncio.Event) -> None:
        """Rounds of: write a twin, read it, send telemetry, poll the job. The last ends after `over`.

        Any failure is raised.
        """
        async with DigitalTwinsClient(gateway, **sdk_options(**PATIENT)) as client:
            for number in itertools.count():
                twin = f"{self.name}-{number}"
                stored = await client.upsert_digital_twin(twin, {"$metadata": {"$model": MODEL}})
                assert stored["$dtId"] == twin
                self.twins.append(twin)
                assert (await client.get_digital_twin(twin))["$dtId"] == twin
                self.read += 1
                await _sent(partial(client.publish_telemetry, twin, {"n": number}, message_id=twin))
                self.messages.append(twin)
                polled = await client._client.import_jobs.get_by_id(job_id)
                self.job.append(str(polled.status))
                if over.is_set():
                    return
                await asyncio.sleep(PACE)


async def _sent(post: Callable[[], Awaitable[object]]) -> None:
    """A POST, again while no connection can be had: the SDK leaves that to the app, since it is a POST."""
    while True:
        try:
            await post()
        except ServiceRequestError:
            await asyncio.sleep(PACE)
        else:
            return


@dataclass(frozen=True, slots=True)
class Crew:
    """Apps that work until the block ends."""

    apps: Sequence[App]
    working: Sequence["asyncio.Task[None]"]
    over: asyncio.Event

    @property
    def answered(self) -> int:
        """Requests that were answered so far. Raises what an app has failed with."""
        for each in self.working:
            if each.done():
                each.result()
        return sum(app.answered for app in self.apps)

    def least(self) -> int:
        """Requests answered to the app that got the fewest. Raises what an app has failed with."""
        return min(app.answered for app in self.apps) if self.answered else 0

    async def finish(self) -> None:
        """Let each app finish its round: every request is answered. Raises what an app failed with."""
        self.over.set()
        await asyncio.gather(*self.working)


@asynccontextmanager
async def crew(gateway: str, job_id: str, names: Sequence[str]) -> AsyncIterator[Crew]:
    """One app of each name, at work until the block ends."""
    apps, over = [App(name) for name in names], asyncio.Event()
    working = [asyncio.create_task(app.work(gateway, job_id, over)) for app in apps]
    try:
        yield Crew(apps, working, over)
    finally:
        for each in working:
            each.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def with_models(gateway: str) -> None:
    """Make the model of the apps' twins known."""
    models = [
        json.loads(line)
        for line in sample("campus.ndjson").decode().splitlines()
        if line.startswith('{"@id"')
    ]
    async with DigitalTwinsClient(gateway, **sdk_options(**PATIENT)) as client:
        await client.create_models(models)


def arrivals(entries: Sequence[Entry]) -> tuple[Counter[str], Counter[str]]:
    """How often each twin was written, and each message sent, at the service."""
    twins = Counter(
        entry.target.partition("?")[0].rpartition("/")[2] for entry in entries if entry.method == "PUT"
    )
    messages = Counter(
        value
        for entry in entries
        if entry.method == "POST"
        for name, value in entry.headers
        if name.lower() == "message-id"
    )
    return twins, messages
