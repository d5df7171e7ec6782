"""What the gateway sees of ADT: attempts, their durations, and what was sent again."""

from grafana.board import Row
from grafana.graphs import bars, heatmap, lines, timeline
from grafana.panels import BAD, OK, WARN, Query, stat
from grafana.queries import (
    BAD_ATTEMPT,
    NO_WHOLE_ANSWER,
    counted,
    events,
    increase,
    quantile,
    rate,
    select,
    share,
    total,
)
from grafana.traffic import STATUS_COLOURS, by_status, quantiles

_CLIENT = "http_client_request_duration_seconds"
_REFUSED = 'http_response_status_code=~"401|403"'

BY_STATUS = lines(
    "Attempts by status",
    "Attempts at ADT that ended, per second, by ADT's status. 'no answer': none came, or the app left "
    "first. One request can be several attempts; a shared read of jobs needs none. No line: no attempts.",
    by_status(_CLIENT),
    "reqps",
    stacked=True,
    overrides=STATUS_COLOURS,
)
DURATION = lines(
    "Attempt duration",
    "From sending an attempt to the end of ADT's response, or to its failure. A dot is one sampled attempt: "
    "its trace opens from there. No line: no attempts.",
    quantiles(_CLIENT, exemplar=True),
    "s",
)
_CIRCUIT = "adt_gateway_circuit_state"
_OPEN, _HALF_OPEN = (select(_CIRCUIT, f'state="{state}"') for state in ("open", "half_open"))
CIRCUIT = timeline(
    "Circuit to ADT",
    "Whether requests are sent to ADT. Open: it failed too often, every request gets 503 at once. Half open: "
    "one request is let through, and its answer closes the circuit. What is over between two scrapes is not "
    "seen.",
    Query(f"2 * {total(_OPEN, 'instance')} + {total(_HALF_OPEN, 'instance')}", "{{instance}}"),
    {"0": ("closed", OK), "1": ("half open", WARN), "2": ("open", BAD)},
    height=9,
)
SENT_AGAIN = bars(
    "Sent again",
    "Requests that were sent once more. By the gateway: after a 401 with a new token (token), after no "
    "connection could be made (unreachable), after a kept connection turned out dead (stale_connection), "
    "after a 429 of the Jobs API (throttled). By the app: the same x-ms-client-request-id after a failure.",
    [
        Query(total(increase("adt_gateway_retries_total"), "reason"), "gateway: {{reason}}"),
        Query(total(increase("adt_gateway_client_retries_total")), "app"),
    ],
)

GLANCE = Row(
    "Upstream at a glance",
    [
        stat(
            "Attempts",
            "Attempts at ADT that ended, per second. No data: none since the gateway started.",
            Query(total(rate(f"{_CLIENT}_count"))),
            "reqps",
        ),
        stat(
            "Failed share of the attempts",
            "Share of the attempts that got 5xx or no whole answer. Red from 5 %. Without attempts it says "
            "so.",
            Query(share(rate(f"{_CLIENT}_count", BAD_ATTEMPT), rate(f"{_CLIENT}_count"))),
            "percentunit",
            steps=((None, OK), (0.01, "yellow"), (0.05, BAD)),
            width=5,
            empty="no attempts",
        ),
        stat(
            "95 % of the attempts take at most",
            "95th percentile of the time of one attempt. Without attempts it says so.",
            Query(quantile(0.95, rate(f"{_CLIENT}_bucket"))),
            "s",
            width=5,
            empty="no attempts",
        ),
        stat(
            "Refused: 401 or 403",
            "Attempts that ADT refused in the time range because of the token or of what its identity may "
            "do. A 401 is answered with a new token; a 403 stays until the identity has a role on the ADT "
            "instance.",
            Query(counted(f"{_CLIENT}_count", _REFUSED)),
            "short",
            steps=((None, OK), (1, WARN)),
            width=5,
        ),
        stat(
            "Could not be sent or answered",
            "Attempts without a whole answer in the time range: ADT was not reached, did not answer in "
            "time, or the connection broke; not because of the app. 'Failed attempts by cause' says which.",
            Query(counted(f"{_CLIENT}_count", NO_WHOLE_ANSWER)),
            "short",
            steps=((None, OK), (1, WARN)),
            width=5,
        ),
    ],
)

ATTEMPTS = Row(
    "Upstream",
    [
        CIRCUIT,
        BY_STATUS,
        lines(
            "Attempts by route",
            "Attempts at ADT that ended, per second, by the template of the route. The gateway's own reads "
            "of jobs are among them. No line: no attempts.",
            Query(total(rate(f"{_CLIENT}_count"), "http_route"), "{{http_route}}"),
            "reqps",
            stacked=True,
        ),
        bars(
            "Failed attempts by cause",
            "Attempts that got 5xx or no whole answer, by status or by the gateway's error code, and by "
            "host. The first of a kind counts too. What the app's own request broke is not in it. '5xx' and "
            "'_OTHER' are rare ones, and what came after the 120 label sets that a gateway keeps. Empty: "
            "none failed.",
            Query(
                total(events(f"{_CLIENT}_count", BAD_ATTEMPT), "error_type", "server_address"),
                "{{error_type}} {{server_address}}",
            ),
        ),
        DURATION,
        heatmap(
            "Attempt durations",
            "How many attempts took how long; the scale has the upper bounds of the histogram's buckets. "
            "Empty: no attempts.",
            Query(total(increase(f"{_CLIENT}_bucket"), "le"), "{{le}}", exemplar=True),
        ),
        lines(
            "Where the time goes",
            "95th percentiles of what the app waits for, of one attempt at ADT, and of the gateway's own "
            "time. App far over attempt, with little own time: requests wait for their turn at the Jobs "
            "API, or for the app. No line: no requests.",
            [
                Query(
                    quantile(0.95, rate("http_server_request_duration_seconds_bucket")),
                    "the app waits",
                    exemplar=True,
                ),
                Query(quantile(0.95, rate(f"{_CLIENT}_bucket")), "an attempt at ADT"),
                Query(quantile(0.95, rate("adt_gateway_overhead_seconds_bucket")), "the gateway's own"),
            ],
            "s",
        ),
        SENT_AGAIN,
        bars(
            "Errors of ADT that were amended",
            "ADT's errors that did not have the one shape and were brought into it, by reason; the README's "
            "table explains them. Many 'html' or 'text': something between gateway and ADT answers in its "
            "place. Empty: none.",
            Query(f"{total(increase('adt_gateway_error_normalisations_total'), 'reason')} > 0", "{{reason}}"),
        ),
        bars(
            "Bodies that passed unread",
            "Pages whose links were not led back to the gateway (links), and answers about jobs that it "
            "could not learn from (jobs), by reason. too_large: over limits.observed_body. Empty: none.",
            Query(
                total(increase("adt_gateway_bodies_unread_total"), "reader", "reason"),
                "{{reader}}: {{reason}}",
            ),
        ),
    ],
)
