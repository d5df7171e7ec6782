"""`adt-gateway check --online` and the collector of spans."""

import logging
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from gateway.cli.checkup.traces import export_nothing
from gateway.config import Tracing
from tests.support import faults
from tests.support.checking import check
from tests.support.otlp import otlp_receiver
from tests.support.upstream import fault_upstream

EVENT_ROUTES = b'{"value": [], "nextLink": null}'


async def test_traces() -> None:
    """A collector gets an export without spans; one that refuses or is not there is a warning,
    not a failure.
    """
    async with fault_upstream(faults.reply(200, EVENT_ROUTES)) as upstream, otlp_receiver() as collector:
        good = await check(upstream.origin, auth={"mode": "none"}, tracing={"endpoint": collector.url})
        assert [(request.path, request.spans) for request in collector.requests] == [("/v1/traces", ())]
        await collector.release(status=403)
        variable = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url.removesuffix("/v1/traces")}
        refused = await check(upstream.origin, variable, auth={"mode": "none"})
        nobody = {"endpoint": "http://127.0.0.1:1/v1/traces?key=canary"}
        limit = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
        gone = await check(upstream.origin, limit, auth={"mode": "none"}, tracing=nobody)
    assert good.steps["traces"].message.endswith(" takes spans")
    assert (good.code, refused.code, gone.code) == (0, 0, 0)
    assert "403" in refused.steps["traces"].message
    assert gone.steps["traces"].outcome == "warning"
    assert "canary" not in gone.text


class Logging:
    """An exporter that logs this, and then fails."""

    def __init__(self, message: str, *arguments: object) -> None:
        self._record = (message, *arguments)

    def export(self, spans: tuple[()]) -> SpanExportResult:
        """Log, as exporters do on their own thread."""
        assert spans == ()
        logging.getLogger("opentelemetry.exporter.another").warning(*self._record)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing is under way."""


LOGGED: dict[str, tuple[tuple[Any, ...], str]] = {
    "plain": (("100% full",), "100% full"),
    "positions": (("%s of %d", "one", 2), "one of 2"),
    "names": (("%(what)s broke: %(why)s", {"what": "it", "why": OSError("canary")}), "it broke: OSError"),
    "an exception": (("failed: %s", OSError("canary")), "failed: OSError"),
    "a mismatch": (("%s and %s", "one"), "%s and %s"),
    "another type": (("%d spans", "one"), "%d spans"),
    "a token": (("refused: Bearer abcdef.canary",), "refused: Bearer [redacted]"),
    "without end": (("x" * 1_000_000,), "x" * 4_096),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(LOGGED))
async def test_whatever_a_library_logs(case: str) -> None:
    """A record of any form is told, bounded and without secrets, and none ends the export."""
    record, said = LOGGED[case]
    finding = await export_nothing([Logging(*record)], Tracing(endpoint="http://127.0.0.1:1/v1/traces"), {})
    assert finding.message == f"http://127.0.0.1:1 does not take spans: {said}"
