"""SIGTERM in the middle of everything: what is in flight ends well, who comes during the delay is served."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from tests.stress.client import App, connect, request_bytes
from tests.stress.gateway import Gateway
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import UNPACED, Stage
from tests.support.issuer import Issuer

IN_FLIGHT = 50
DELAY = 2.0
_MARGIN = 0.1
"""Seconds before the end of the delay; who comes later may find the listener closed."""
_EVERY = 0.01
_LASTS = 3.0
"""Seconds that what is in flight lasts: beyond the delay."""
_PIECES = 30
_UPLOAD = 5_000
_SETTINGS: Mapping[str, str] = {**UNPACED, "LIMITS__DRAIN_DELAY": str(DELAY), "LIMITS__DRAIN_TIMEOUT": "15"}
_SLOW = f"/digitaltwins/t1?delay={_LASTS}"
_STREAM = f"/digitaltwins/t1?pieces={_PIECES}&pause={_LASTS / _PIECES}"
_TWIN = "/digitaltwins/t1?api-version=2023-10-31"
_CUT = "connected, then cut"


async def run(stage: Stage) -> Outcome:
    """One gateway after the other is told to end."""
    rounds = round(stage.pick(20, 2))
    flight: Counter[str] = Counter()
    delay: Counter[str] = Counter()
    close: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    async with Issuer() as issuer, stage.upstream() as upstream, stage.collector() as collector:
        for number in range(rounds):
            stage.say(f"{number + 1} of {rounds}")
            async with stage.gateway(upstream, issuer, collector, settings=_SETTINGS) as gateway:
                codes[await _round(gateway, flight, delay, close)] += 1
    in_flight = none("of what was in flight dropped", _bad(flight), _told(flight))
    return Outcome(
        promises=[
            in_flight,
            none("new connections during the delay dropped or refused", _bad(delay), _told(delay)),
            none("exits that were not 0", rounds - codes[0], f"of {rounds}"),
        ],
        measures=[none("connections taken and cut when the listener closed", close[_CUT], _told(close))],
    )


async def _round(gateway: Gateway, flight: Counter[str], delay: Counter[str], close: Counter[str]) -> int:
    """SIGTERM with everything under way; the exit status."""
    begun = [asyncio.ensure_future(_begun(gateway, number)) for number in range(IN_FLIGHT)]
    await _active(gateway, IN_FLIGHT)
    gateway.terminate()
    signalled = time.perf_counter()
    coming: list[asyncio.Task[tuple[float, str]]] = []
    while (after := time.perf_counter() - signalled) < DELAY + 0.5:
        coming.append(asyncio.ensure_future(_newcomer(gateway, after)))
        # Near the end of the delay they come closer together: that is where one may be lost.
        await asyncio.sleep(_EVERY if after < DELAY - _MARGIN else _EVERY / 5)
    for after, outcome in await asyncio.gather(*coming):
        (delay if after < DELAY - _MARGIN else close)[outcome] += 1
    flight.update(await asyncio.gather(*begun))
    return await gateway.ended()


async def _begun(gateway: Gateway, number: int) -> str:
    """One of what is in flight: slow, a stream, or an upload."""
    app = await connect(gateway.data)
    try:
        match number % 3:
            case 0:
                answer = await app.ask(request_bytes(gateway.data, _SLOW))
            case 1:
                answer = await app.ask(request_bytes(gateway.data, _STREAM))
                if answer.size != _PIECES * len(b"piece"):
                    return f"{answer.size} bytes of a stream"
            case _:
                return await _upload(gateway, app)
    except ConnectionError:
        return "cut"
    finally:
        app.transport.close()
    return answer.name


async def _upload(gateway: Gateway, app: App) -> str:
    """A body that is streamed in pieces, each a while after the one before."""
    head = request_bytes(gateway.data, "/digitaltwins/large", "PUT").removesuffix(b"\r\n")
    answer = asyncio.ensure_future(app.ask(head + b"Content-Length: %d\r\n\r\n" % (_UPLOAD * _PIECES)))
    for _ in range(_PIECES):
        await asyncio.sleep(_LASTS / _PIECES)
        app.transport.write(b"u" * _UPLOAD)
    return (await answer).name


async def _active(gateway: Gateway, count: int) -> None:
    """Wait until so many requests are under way. Raises TimeoutError."""
    async with asyncio.timeout(20):
        while (await gateway.scrape()).total("http_server_active_requests") < count:  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.02)


async def _newcomer(gateway: Gateway, after: float) -> tuple[float, str]:
    """One request on a connection of its own; when it was, and what came of it."""
    try:
        app = await connect(gateway.data)
    except OSError:
        return after, "refused"
    try:
        return after, (await app.ask(request_bytes(gateway.data, _TWIN))).name
    except ConnectionError:
        return after, _CUT
    finally:
        app.transport.close()


def _bad(outcomes: Counter[str]) -> int:
    return outcomes.total() - outcomes["200"]


def _told(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count:,} x {outcome}" for outcome, count in outcomes.most_common())


ROW = Row(
    "shutdown",
    f"SIGTERM with {IN_FLIGHT} in flight (slow, stream, upload), new connections every 10 ms during the "
    "delay; 20 times",
    "0 dropped, 0 refused, exit 0",
    seconds=130,
    quick_seconds=14,
    run=run,
)
