"""Spans of a process that ends: what was recorded is exported before it exits."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

from gateway.emulator import running_emulator
from tests.support.azure import auth_for, fast, http_client
from tests.support.otlp import otlp_receiver

WITHIN = 60.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def environment(upstream: str, collector: str) -> dict[str, str]:
    oauth2 = auth_for(upstream, fast())["oauth2"]
    own = {
        "UPSTREAM__BASE_URL": upstream,
        "AUTH__MODE": "oauth2",
        **{f"AUTH__OAUTH2__{key.upper()}": value for key, value in oauth2.items()},
        "LISTEN__PORT": "0",
        "ADMIN__PORT": "0",
        "LIMITS__DRAIN_DELAY": "0",
    }
    otel = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**inherited, **otel, **{f"ADT_GATEWAY_{key}": value for key, value in own.items()}}


async def test_sigterm_flushes_spans() -> None:
    """A process that is told to end exports its last spans, with a clean log, and exits 0."""
    async with otlp_receiver() as receiver, running_emulator(fast()) as cloud, asyncio.timeout(WITHIN):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve"),
            env=environment(cloud.url, receiver.url),
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            ready: dict[str, str] = {}
            while "data" not in ready:
                ready = json.loads(await process.stderr.readline())
            async with http_client(ready["data"]) as app:
                headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
                assert (await app.get("/eventroutes", headers=headers)).status_code == 200
            assert receiver.spans == []
            process.send_signal(signal.SIGTERM)
            _, err = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    lines = [json.loads(line) for line in err.decode().splitlines()]
    assert process.returncode == 0
    assert {line["level"] for line in lines} == {"info"}
    assert [span.kind for span in receiver.spans if span.trace_id == TRACE] == ["CLIENT", "SERVER"]
