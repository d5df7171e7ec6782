"""What the apps see: rate, errors and duration of their requests, and the errors by code."""

from grafana.board import Row
from grafana.graphs import bars, heatmap, lines, table
from grafana.panels import BAD, OK, Query, coloured, stat
from grafana.queries import counted, events, increase, named, quantile, rate, select, share, total

_SERVER = "http_server_request_duration_seconds"
_ERRORS = "adt_gateway_error_responses_total"
_FAILED = 'error_type!=""'

QUANTILES = (0.5, 0.95, 0.99)
STATUS_COLOURS = [coloured("^4", "orange"), coloured("^5", "red"), coloured("^no answer", "dark-red")]


def by_status(metric: str) -> Query:
    """Rates by HTTP status; an exchange without an answer has the empty status."""
    return Query(
        named("no answer", rate(f"{metric}_count"), "http_response_status_code"),
        "{{http_response_status_code}}",
    )


def quantiles(metric: str, *, exemplar: bool = False) -> list[Query]:
    """Three quantiles; the exemplars of all buckets come with the highest."""
    return [
        Query(quantile(q, rate(f"{metric}_bucket")), f"{q:.0%}", exemplar=exemplar and q == QUANTILES[-1])
        for q in QUANTILES
    ]


RATE = stat(
    "Requests",
    "Requests of the apps that ended, per second. No data: no chosen gateway is scraped.",
    Query(total(rate(f"{_SERVER}_count"))),
    "reqps",
)
FAILED_SHARE = stat(
    "Failed share",
    "Share of the requests that got 5xx or a broken response; a 4xx is an answer. Yellow from 0.1 %, all "
    "that an objective of 99.9 % allows; red from 1 %. Without requests it says so.",
    Query(share(rate(f"{_SERVER}_count", _FAILED), rate(f"{_SERVER}_count"))),
    "percentunit",
    steps=((None, OK), (0.001, "yellow"), (0.01, BAD)),
    empty="no requests",
)
P95 = stat(
    "95 % take at most",
    "95th percentile of the time from a request's arrival to the end of its response. Without requests it "
    "says so.",
    Query(quantile(0.95, rate(f"{_SERVER}_bucket"))),
    "s",
    empty="no requests",
)

REQUESTS = Row(
    "Requests: rate, errors, duration",
    [
        lines(
            "Requests by route",
            "Requests that ended, per second, by the template of their route. A route appears with its "
            "first request.",
            Query(total(rate(f"{_SERVER}_count"), "http_route"), "{{http_route}}"),
            "reqps",
            stacked=True,
        ),
        lines(
            "Requests by status",
            "Requests that ended, per second, by the status that the app got. 'no answer': the app had left "
            "before there was one. No line: no requests.",
            by_status(_SERVER),
            "reqps",
            stacked=True,
            overrides=STATUS_COLOURS,
        ),
        lines(
            "Failed share by route",
            "Share of a route's requests that got 5xx or a broken response. No line: no requests. The first "
            "failure of its kind is not in it, since its series begins there; it is in 'Errors by code'.",
            Query(
                share(rate(f"{_SERVER}_count", _FAILED), rate(f"{_SERVER}_count"), "http_route"),
                "{{http_route}}",
            ),
            "percentunit",
            steps=((None, OK), (0.01, BAD)),
        ),
        lines(
            "Duration",
            "From a request's arrival (its head was read) to the end of its response. A dot is one sampled "
            "request: its trace opens from there. No line: no requests.",
            quantiles(_SERVER, exemplar=True),
            "s",
        ),
        heatmap(
            "Durations",
            "How many requests took how long; the scale has the upper bounds of the histogram's buckets. "
            "Empty: no requests.",
            Query(total(increase(f"{_SERVER}_bucket"), "le"), "{{le}}", exemplar=True),
        ),
        lines(
            "Requests in flight",
            "Requests that began and have not ended, by method. One that climbs and stays up: ADT, or the "
            "turns at the Jobs API, do not keep up.",
            Query(
                total(select("http_server_active_requests"), "http_request_method"), "{{http_request_method}}"
            ),
            "short",
            stacked=True,
        ),
    ],
)

ERRORS = Row(
    "Errors by code",
    [
        bars(
            "Errors by code",
            "Errors that apps got, by code and by who made them: the gateway itself, or ADT (upstream). The "
            "first error of a kind counts too. A dot is a sampled error: its trace opens from there. Empty: "
            "no errors.",
            Query(
                f"{total(events(_ERRORS), 'error_code', 'origin')} > 0",
                "{{error_code}} ({{origin}})",
                exemplar=True,
            ),
            width=12,
        ),
        table(
            "Errors in the time range",
            "The same in the whole time range, and on which route. The README explains the codes; 'other' "
            "is one that is neither in ADT's reference nor in metrics.extra_error_codes. Empty: no errors.",
            Query(counted(_ERRORS, "", "error_code", "origin", "http_route")),
            "short",
            {"error_code": "Code", "origin": "Made by", "http_route": "Route", "Value": "Errors"},
            sort="Errors",
        ),
    ],
)
