"""A token endpoint that is down, slow or talks nonsense: while a token is valid, and before there is one."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

from tests.bench.report import Figure
from tests.stress.client import connect, request_bytes
from tests.stress.gateway import Gateway
from tests.stress.row import Outcome, Row, none
from tests.stress.stage import TWIN, UNPACED, Process, Stage, unwanted
from tests.support.issuer import Issuer

STARTS = 500
_UNAVAILABLE = "503 GatewayTokenUnavailable"
_RATE = 50.0
_NONSENSE = b"<html>come back later</html>"
_EARLIER = 0.2
"""Seconds that a gateway which answers may have had to ask before that is seen."""
_SETTINGS = {**UNPACED, "AUTH__TIMEOUT": "2", "UPSTREAM__MAX_CONNECTIONS": str(STARTS)}
_FAULTS = ("down", "slow", "garbage")


async def run(stage: Stage) -> Outcome:
    """Each fault with a valid token at hand, then at 500 cold starts, and 500 cold starts without a fault."""
    outcome = Outcome()
    async with stage.upstream() as upstream, stage.collector() as collector:
        for fault in _FAULTS:
            stage.say(f"{fault}, with a valid token")
            await _valid(stage, upstream, collector, fault, outcome)
        for fault in ("", *_FAULTS):
            stage.say(f"{STARTS} cold starts, {fault or 'no fault'}")
            await _cold(stage, upstream, collector, fault, outcome)
    return outcome


def _break(issuer: Issuer, fault: str) -> None:
    if fault == "slow":
        issuer.gate = asyncio.Event()
    elif fault == "garbage":
        issuer.body = _NONSENSE


async def _valid(stage: Stage, upstream: Process, collector: Process, fault: str, outcome: Outcome) -> None:
    """The token lives for an hour, and the issuer wants it renewed every second."""
    seconds = stage.pick(10.0, 3.0)
    async with AsyncExitStack() as there:
        issuer = await there.enter_async_context(Issuer(extra={"refresh_in": 1}))
        async with stage.gateway(upstream, issuer, collector, settings=_SETTINGS) as gateway:
            await stage.load(gateway, _RATE, 1.0)
            _break(issuer, fault)
            if fault == "down":
                await there.aclose()
            result = await stage.load(gateway, _RATE, seconds)
            scrape = await gateway.scrape()
    failed = unwanted(result, (TWIN,))
    refreshes = scrape.total("adt_gateway_token_refreshes_total", result="failure")
    outcome.promises += [
        none(f"failed requests while it is {fault} and the token valid", failed, f"of {result.requests:,}"),
        Figure(f"refreshes that failed while {fault}", refreshes, "", 1, "at least"),
    ]


async def _cold(stage: Stage, upstream: Process, collector: Process, fault: str, outcome: Outcome) -> None:
    """All at once, before the gateway has a token; the issuer takes half a second even without a fault."""
    async with AsyncExitStack() as there:
        issuer = await there.enter_async_context(Issuer(gate=asyncio.Event()))
        if fault == "down":
            await there.aclose()
        async with stage.gateway(upstream, issuer, collector, ready="/livez", settings=_SETTINGS) as gateway:
            began = time.perf_counter()
            opening = None if fault in {"slow", "down"} else asyncio.ensure_future(_open(issuer, fault))
            answers = await _burst(gateway)
            if opening is not None:
                await opening
            scrape = await gateway.scrape()
            took = time.perf_counter() - began
    wanted = _UNAVAILABLE if fault else "200"
    name = f"{STARTS} cold starts, {fault or 'no fault'}"
    told = ", ".join(f"{count} x {answer}" for answer, count in answers.items())
    tried = scrape.total("adt_gateway_token_refreshes_total")
    requests = tried if fault == "down" else issuer.requests
    outcome.promises += [
        none(f"answers to {name} that are not {wanted}", STARTS - answers[wanted], told),
        # A failed one is repeated after a second at the earliest, which on a busy machine may be meanwhile.
        Figure(
            f"token requests at {name}", requests, "", 1 + (int(took + _EARLIER) if fault else 0), "at most"
        ),
    ]


async def _open(issuer: Issuer, fault: str) -> None:
    await asyncio.sleep(0.5)
    _break(issuer, fault)
    gate, issuer.gate = issuer.gate, None
    if gate is not None:
        gate.set()


async def _burst(gateway: Gateway) -> Counter[str]:
    """One request on each of `STARTS` connections, at once."""
    request = request_bytes(gateway.data, TWIN.target.replace("{n}", "1"))
    apps = [await connect(gateway.data) for _ in range(STARTS)]
    answers = await asyncio.gather(*(app.ask(request) for app in apps))
    for app in apps:
        app.transport.close()
    return Counter(answer.name for answer in answers)


ROW = Row(
    "outage",
    "the token endpoint down, slow, garbage: with a valid token, and at 500 cold starts at once",
    "0 failures while valid; then 503 in our shape; one token request",
    seconds=70,
    quick_seconds=35,
    run=run,
)
