"""Gateways that are one to ADT: their store, their turns, who follows the jobs."""

from grafana.board import Row
from grafana.graphs import bars, lines, timeline
from grafana.panels import BAD, OK, WARN, Query, stat, value_texts
from grafana.queries import increase, quantile, rate, select, total

_UP = "adt_gateway_fleet_store_up"
_WATCHING = "adt_gateway_fleet_watching"
_OPERATIONS = "adt_gateway_fleet_operations_total"
_DURATION = "adt_gateway_fleet_operation_duration_seconds"
_FAILED = 'result=~"timeout|error"'
_NO_FLEET = "fleet.url is not set"
_STORE = {"1": ("reached", OK), "0": ("away", BAD)}

FLEET = Row(
    "Fleet (only with fleet.url)",
    [
        stat(
            "Store of the fleet",
            "Whether the gateways reach the Redis or Valkey that they share, the worst of those chosen. "
            "While it is away each goes on by itself, with its part of the rate; the log says why. No "
            "data: fleet.url is not set.",
            Query(f"min({select(_UP)})"),
            "short",
            steps=((None, BAD), (1, OK)),
            width=8,
            mappings=value_texts(_STORE),
            empty=_NO_FLEET,
        ),
        stat(
            "Gateways in the fleet",
            "Gateways that reach the store now. More than fleet.expected_size: while the store is away "
            "they would be more than the rate was divided for. No data: fleet.url is not set.",
            Query(total(select(_UP))),
            "short",
            width=8,
            empty=_NO_FLEET,
        ),
        stat(
            "Watchers",
            "Gateways that follow unfinished jobs for all: one of each fleet, for some seconds none or two "
            "after one was killed. While the store is away each follows by itself. No data: fleet.url is "
            "not set.",
            Query(total(select(_WATCHING))),
            "short",
            steps=((None, WARN), (1, OK), (2, WARN)),
            width=8,
            empty=_NO_FLEET,
        ),
        timeline(
            "Store by gateway",
            "When each gateway reached the store. One that is alone in red has a way of its own that is "
            "broken, a password for example; all together: the store. No data: fleet.url is not set.",
            Query(select(_UP), "{{instance}}"),
            _STORE,
            height=9,
            width=12,
        ),
        timeline(
            "Watcher by gateway",
            "Which gateway followed the jobs for all. No data: fleet.url is not set.",
            Query(select(_WATCHING), "{{instance}}"),
            {"1": ("watches", OK), "0": ("", "rgba(128, 128, 128, 0.15)")},
            height=9,
            width=12,
        ),
        lines(
            "Turns of the fleet",
            "Turns at the Jobs API that all chosen gateways reserved, and those that requests had, per "
            "second; at most jobs.rate. Reserved and not used: who waited had an answer before, or the "
            "gateway came too late for it. No data: fleet.url is not set.",
            [
                Query(total(rate(_OPERATIONS, 'operation="reserve", result="ok"')), "reserved"),
                Query(total(rate("adt_jobs_rate_wait_seconds_count")), "used"),
            ],
            "reqps",
            width=12,
        ),
        lines(
            "Operations on the store",
            "Operations of all chosen gateways on the store, per second, by kind. They grow with the "
            "gateways and the jobs, hardly with the apps that ask. No data: fleet.url is not set.",
            Query(total(rate(_OPERATIONS), "operation"), "{{operation}}"),
            "reqps",
            width=12,
            stacked=True,
        ),
        bars(
            "Operations that failed",
            "Operations that the store did not answer in time (timeout) or refused (error). The gateway "
            "then decides by itself. No data: fleet.url is not set.",
            Query(total(increase(_OPERATIONS, _FAILED), "operation", "result"), "{{operation}} {{result}}"),
            width=12,
        ),
        lines(
            "Time of an operation",
            "95th percentile of the time that an operation on the store took, by gateway. A gateway waits "
            "0.1 s at most, then decides by itself. No data: fleet.url is not set.",
            Query(quantile(0.95, rate(f"{_DURATION}_bucket"), "instance"), "{{instance}}"),
            "s",
            width=12,
            steps=((None, OK), (0.05, WARN)),
        ),
    ],
)
