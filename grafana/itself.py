"""The gateway itself: its own time, what it lost, what it uses."""

from grafana.board import Row
from grafana.graphs import bars, lines, table
from grafana.panels import BAD, OK, WARN, Query, stat
from grafana.queries import increase, quantile, rate, select, total

_OWN = "adt_gateway_overhead_seconds"
_STARTED = select("process_start_time_seconds")
_BUILD = select("adt_gateway_build_info")

OWN_TIME = stat(
    "Own time",
    "95th percentile of the gateway's own part of a request: not waiting for ADT, for a turn at the Jobs "
    "API, or for the app. Some milliseconds are usual; red from 100 ms: it waits for a token, or its event "
    "loop is blocked. Without requests it says so.",
    Query(quantile(0.95, rate(f"{_OWN}_bucket"))),
    "s",
    steps=((None, OK), (0.025, "yellow"), (0.1, BAD)),
    empty="no requests",
)
REACHED = stat(
    "Gateways",
    "Gateways that Prometheus reaches, of those chosen.",
    Query(f"count({_BUILD})"),
    "short",
    steps=((None, BAD), (1, OK)),
    empty="none",
)

ITSELF = Row(
    "The gateway itself",
    [
        lines(
            "Own time by route",
            "95th percentile of the gateway's own part of a request, by route. Waiting for a token counts. "
            "No line: no requests.",
            Query(quantile(0.95, rate(f"{_OWN}_bucket"), "http_route"), "{{http_route}}"),
            "s",
        ),
        lines(
            "Processor",
            "Processor time per second: at 100 % one core is busy. All requests run on one core, so the "
            "gateway is at its limit near 100 %.",
            Query(f"sum by (instance) ({rate('process_cpu_seconds_total')})", "{{instance}}"),
            "percentunit",
            steps=((None, OK), (0.8, WARN)),
        ),
        lines(
            "Memory",
            "Resident memory of the process. Some 100 MiB are usual; what climbs for days is worth a look.",
            Query(select("process_resident_memory_bytes"), "{{instance}}"),
            "bytes",
        ),
        bars(
            "Spans and log lines that were lost",
            "Spans that were dropped (queue full, or their export failed), batches of spans that could not "
            "be sent, and log lines for which standard error was too slow. Empty: none, as it should be.",
            [
                Query(total(increase("adt_gateway_spans_dropped_total")), "spans"),
                Query(total(increase("adt_gateway_span_export_failures_total")), "failed exports"),
                Query(total(increase("adt_gateway_log_lines_dropped_total")), "log lines"),
            ],
        ),
        lines(
            "File descriptors",
            "Share of the file descriptors that the process may open and has open. At 100 % it can take no "
            "connection.",
            Query(f"{select('process_open_fds')} / {select('process_max_fds')}", "{{instance}}"),
            "percentunit",
            steps=((None, OK), (0.8, BAD)),
        ),
        table(
            "Versions",
            "The gateways that Prometheus reaches: version, HTTP engine, and when each started.",
            Query(f"{_STARTED} * 1000 * on (job, instance) group_left (version, engine) {_BUILD}"),
            "dateTimeFromNow",
            {
                "instance": "Gateway",
                "job": "Job",
                "version": "Version",
                "engine": "Engine",
                "Value": "Started",
            },
        ).wide(8),
    ],
)
