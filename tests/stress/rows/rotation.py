"""Tokens that live for seconds, under load."""

import time
from typing import Any

from tests.bench.report import Figure
from tests.stress.row import Outcome, Row, exactly, none
from tests.stress.stage import TWIN, Stage, percentile, unwanted
from tests.support.issuer import Issuer, Seen

RATE = 200.0
LIFE = 4
"""Seconds; the successor is asked for at half of it."""


class Stamped(Issuer):
    """Writes into each token when it was given."""

    def _token(self, request: Seen) -> dict[str, Any]:
        return super()._token(request) | {"access_token": f"given-{time.time():.6f}"}


async def run(stage: Stage) -> Outcome:
    """A steady load while tokens come and go."""
    seconds, rate = stage.pick(60.0, 6.0), stage.pick(RATE, RATE / 5)
    async with (
        Stamped(expires_in=LIFE) as issuer,
        stage.upstream() as upstream,
        stage.collector() as collector,
        stage.gateway(upstream, issuer, collector) as gateway,
    ):
        before = issuer.requests
        stage.say(f"{rate:g} requests/s, a new token every {LIFE / 2:g} s")
        result = await stage.load(gateway, rate, seconds)
        requests = issuer.requests
        seen = await upstream.ask("/_seen")
        scrape = await gateway.scrape()
    refreshes = scrape.total("adt_gateway_token_refreshes_total")
    tokens = [token for token in seen["tokens"] if token]
    late = [
        token for token in tokens if seen["tokens"][token][1] > float(token.removeprefix("given-")) + LIFE
    ]
    rotations = requests - before
    return Outcome(
        promises=[
            none("failed requests", unwanted(result, (TWIN,)), f"of {result.requests:,}"),
            none("requests without a token", seen["requests"] - seen["with_token"]),
            none("tokens that were sent after their end", len(late), f"of {len(tokens)}"),
            exactly("token requests, of the rotations that the gateway counts", requests, refreshes),
            Figure("rotations", rotations, "", seconds / LIFE, "at least"),
            Figure("rotations, at most", rotations, "", seconds / (LIFE / 2 * 0.85) + 1, "at most"),
        ],
        measures=[Figure("p99", percentile(result.times.get("twin", ()), 0.99), "ms")],
    )


ROW = Row(
    "rotation",
    "a new token every 2 s at 200 requests/s for 60 s",
    "0 failed requests, one token request per rotation",
    seconds=66,
    quick_seconds=10,
    run=run,
)
