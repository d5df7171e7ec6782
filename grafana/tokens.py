"""The token: how long it lasts, and what became of the requests for it."""

from grafana.board import Row
from grafana.graphs import bars, lines, table
from grafana.panels import BAD, OK, WARN, Query, coloured, stat
from grafana.queries import RANGE, counted, events, increase, quantile, rate, select, total

_EXPIRY = "adt_gateway_token_expiry_timestamp_seconds"
_ENDS = f"({select(_EXPIRY)} < Inf)"
"""Without the tokens that never end: an infinite time is drawn nowhere, and is no date."""
_REFRESHES = "adt_gateway_token_refreshes_total"
_REFRESH = "adt_gateway_token_refresh_duration_seconds"
_UNAVAILABLE = 'error_code="GatewayTokenUnavailable"'
_LIFE = ((None, BAD), (0, WARN), (300, OK))

LEFT = stat(
    "Token ends in",
    "Time until the token in use ends, the shortest of the chosen gateways. It is renewed at half its life, "
    "so a token of an hour comes below five minutes only where the renewals fail; one of a few minutes does "
    "so always. Below zero: it has ended. No data: there was no token yet, or it never ends, or the gateway "
    "does not own one (auth.mode passthrough or none).",
    Query(f"min({_ENDS} - time())"),
    "s",
    steps=_LIFE,
    empty="no token",
)
LIFE = lines(
    "Time until the token ends",
    "A saw tooth: up at each renewal, down to about half the token's life. Falling below that: the renewals "
    "fail. No line: there was no token yet, or it never ends, or the gateway does not own one (auth.mode "
    "passthrough or none).",
    Query(f"min by (instance, source) ({_ENDS} - time())", "{{instance}} ({{source}})"),
    "s",
    steps=((None, BAD), (300, OK)),
)
REQUESTS = bars(
    "Token requests",
    "Requests for a token that ended, by result and by the auth mode. A failure is tried again after 1 to "
    "30 s, and the old token serves while it lasts. Empty: none in it; a token of an hour is renewed about "
    "every half hour.",
    Query(total(increase(_REFRESHES), "source", "result"), "{{source}} {{result}}"),
    overrides=[coloured("success$", OK), coloured("failure$", BAD)],
)

TOKEN = Row(
    "Token",
    [
        LEFT.wide(5),
        stat(
            "Failed token requests",
            "Token requests that failed in the time range. None also where the gateway does not own a token.",
            Query(counted(_REFRESHES, 'result="failure"')),
            "short",
            steps=((None, OK), (1, WARN)),
            width=5,
            empty="none",
        ),
        stat(
            "Requests without a token",
            "Requests of the apps that got 503 GatewayTokenUnavailable in the time range: nothing was sent "
            "to ADT.",
            Query(counted("adt_gateway_error_responses_total", _UNAVAILABLE)),
            "short",
            steps=((None, OK), (1, BAD)),
            width=5,
            empty="none",
        ),
        stat(
            "95 % of the token requests take at most",
            "95th percentile of the time of one token request over the whole time range; it is given up "
            "after auth.timeout. No data: none ended in it.",
            Query(quantile(0.95, events(f"{_REFRESH}_bucket", over=RANGE))),
            "s",
            width=9,
            empty="no requests",
        ),
        LIFE.wide(12),
        REQUESTS.wide(12),
        lines(
            "Duration of token requests",
            "Mean time of the token requests in each window, by the auth mode. The first request of a "
            "gateway is not in it, since its series begins there. Gaps: none ended.",
            Query(
                f"{total(rate(f'{_REFRESH}_sum'), 'source')} / {total(rate(f'{_REFRESH}_count'), 'source')}",
                "{{source}}",
            ),
            "s",
            width=12,
        ),
        table(
            "Tokens",
            "The token of each gateway: its source (auth.mode), and when it ends. Empty: there was no token "
            "yet, or it never ends, or the gateways do not own one.",
            Query(f"max by (instance, source) {_ENDS} * 1000"),
            "dateTimeFromNow",
            {"instance": "Gateway", "source": "Source", "Value": "Ends"},
            empty="no token",
        ),
    ],
)
