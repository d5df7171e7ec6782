"""Whether the gateway did its duties while it was measured: a figure without them is void."""

import time
from dataclasses import dataclass

from tests.bench.client import Client
from tests.bench.report import Figure
from tests.bench.rig import Gateway, Rig

_EXPORTED_WITHIN = 12.0
"""Seconds; the exporter's own delay is 5."""
_COUNT = "http_server_request_duration_seconds_count"
_DROPPED = "adt_gateway_spans_dropped_total"


@dataclass(frozen=True, slots=True)
class Done:
    """Counts so far: requests the gateways counted, those with a token upstream, spans at the sink."""

    measured: float
    with_token: int
    server_spans: int
    client_spans: int
    dropped: float


def count(rig: Rig, gateways: list[Gateway]) -> Done:
    """Read all counts, once the spans have arrived or the wait for them is over."""
    measured = sum(_sum(each, _COUNT) for each in gateways)
    dropped = sum(_sum(each, _DROPPED) for each in gateways)
    with Client(rig.upstream) as upstream, Client(rig.sink) as sink:
        with_token = upstream.get_json("/_seen")["with_token"]
        deadline = time.perf_counter() + _EXPORTED_WITHIN
        while (spans := sink.get_json("/spans"))["server"] < measured and time.perf_counter() < deadline:
            time.sleep(0.5)
    return Done(measured, with_token, spans["server"], spans["client"], dropped)


def measure(before: Done, after: Done) -> list[Figure]:
    """Shares of the requests that had each duty done."""
    requests = max(1.0, after.measured - before.measured)
    shares = {
        "token": (after.with_token - before.with_token) / requests,
        "server span": (after.server_spans - before.server_spans) / requests,
        "client span": (after.client_spans - before.client_spans) / requests,
    }
    note = f"{requests:,.0f} requests, {after.dropped - before.dropped:,.0f} spans dropped"
    return [
        Figure(f"duty done: {name}", round(share * 100, 2), "%", 100, "at least", note=note)
        for name, share in shares.items()
    ]


def _sum(gateway: Gateway, metric: str) -> float:
    with Client(gateway.admin) as admin:
        lines = admin.get("/metrics").decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith((metric + "{", metric + " "))
    )
