"""With tracing off a trace passes through: what is valid unchanged, what is not replaced."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.support.azure import Azure, running_azure
from tests.support.otlp import OtlpReceiver, otlp_receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"
INVALID = [
    [("traceparent", value) for value in values]
    for values in (
        [],
        [f"00-{'0' * 32}-00f067aa0ba902b7-01"],
        [VALID.upper()],
        [f"ff{VALID[2:]}"],
        [f"{VALID}-00"],
        [VALID, VALID],
        [f"{VALID},{VALID}"],
    )
]
STATE = ("tracestate", "a=1")
NEW = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[02]")
"""Version 00, unsampled; the random bit may be set."""


@asynccontextmanager
async def untraced(switch: str) -> AsyncIterator[tuple[Azure, OtlpReceiver]]:
    """A gateway whose tracing is off, by the standard variable or because there is nowhere to send to."""
    async with otlp_receiver() as receiver:
        environ: Mapping[str, str] = {}
        tracing: dict[str, str] = {}
        if switch == "OTEL_SDK_DISABLED":
            environ, tracing = {switch: "true"}, {"endpoint": receiver.url}
        async with running_azure(environ=environ, tracing=tracing) as azure:
            yield azure, receiver


def arrived(azure: Azure, name: str) -> list[str]:
    [entry] = azure.arrived
    return [value for key, value in entry.headers if key.lower() == name]


SWITCHES = pytest.mark.parametrize("switch", ["OTEL_SDK_DISABLED", "no endpoint"])


@SWITCHES
async def test_a_valid_context_passes_unchanged(switch: str) -> None:
    """The upstream sees the caller's own ids, so that no span hangs on one that is never exported."""
    headers = {"traceparent": VALID, "tracestate": "a=1,b=2"}
    async with untraced(switch) as (azure, receiver), azure.app() as app:
        answer = await app.get("/eventroutes", headers=headers)
    assert arrived(azure, "traceparent") == [VALID]
    assert arrived(azure, "tracestate") == ["a=1,b=2"]
    assert answer.headers["traceresponse"].split("-")[1] == TRACE
    assert [line["trace_id"] for line in azure.gateway.exchanges()] == [TRACE]
    assert receiver.requests == []


@SWITCHES
async def test_an_invalid_context_is_replaced(switch: str) -> None:
    """The upstream sees a new unsampled context without tracestate; the app and the log get the same id."""
    async with untraced(switch) as (azure, receiver), azure.app() as app:
        answers = [await app.get("/eventroutes", headers=[*lines, STATE]) for lines in INVALID]
    new = [value for entry in azure.arrived for name, value in entry.headers if name.lower() == "traceparent"]
    assert len(new) == len(INVALID)
    assert all(NEW.fullmatch(value) for value in new)
    trace_ids = [value.split("-")[1] for value in new]
    assert len({TRACE, *trace_ids}) == len(INVALID) + 1
    assert [answer.headers["traceresponse"].split("-")[1] for answer in answers] == trace_ids
    assert [line["trace_id"] for line in azure.gateway.exchanges()] == trace_ids
    assert "tracestate" not in {name.lower() for entry in azure.arrived for name, _ in entry.headers}
    assert receiver.requests == []


async def test_nothing_is_said_about_no_endpoint() -> None:
    """A gateway without a collector does not complain about it."""
    async with running_azure() as azure, azure.app() as app:
        await app.get("/eventroutes")
    assert not [line for line in azure.gateway.lines() if line["level"] in {"warning", "error"}]
