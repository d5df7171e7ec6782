"""Requests to the Jobs API: shared reads, turns, writes that go once, and the gateway's own reads."""

from grafana.board import Row
from grafana.graphs import bars, lines
from grafana.panels import OK, WARN, Query
from grafana.queries import increase, quantile, rate, select, share, total

_READS = "adt_jobs_reads_total"
_WAIT = "adt_jobs_rate_wait_seconds"

JOBS_API = Row(
    "Requests to the Jobs API",
    [
        lines(
            "Reads of jobs",
            "Reads of the apps, per second, by how they were answered: hit (an answer of the last moment "
            "was given again), collapsed (joined one under way), batched (from a list that answered "
            "several), miss (asked ADT), bypass (was not to be shared).",
            Query(total(rate(_READS), "result"), "{{result}}"),
            "reqps",
            stacked=True,
        ),
        lines(
            "Reads that cost no request",
            "Share of the reads of jobs that were answered without a request of their own. With many apps "
            "that poll it is near 100 %. No line: no reads.",
            Query(share(rate(_READS, 'result=~"hit|collapsed|batched"'), rate(_READS)), "shared"),
            "percentunit",
        ),
        lines(
            "Wait for a turn",
            "95th percentile of the time that a jobs request waited for its turn, by priority: writes "
            "first, then the apps' reads, then the gateway's own (watch). ADT allows one jobs request per "
            "second. No line: none in the window.",
            Query(quantile(0.95, rate(f"{_WAIT}_bucket"), "priority"), "{{priority}}"),
            "s",
        ),
        lines(
            "Waiting for a turn",
            "Jobs requests that wait for their turn now, by priority. At one turn per second this is also "
            "the seconds that the last one waits; who cannot wait that long gets 429 GatewayRateLimited.",
            Query(total(select("adt_jobs_rate_queue_length"), "priority"), "{{priority}}"),
            "short",
            stacked=True,
            steps=((None, OK), (30, WARN)),
        ),
        bars(
            "Throttled by ADT",
            "Jobs requests that ADT answered with 429, by priority. Each pauses all turns. More than a few: "
            "something else uses the same ADT instance, or jobs.rate is too high.",
            Query(total(increase("adt_jobs_throttled_total"), "priority"), "{{priority}}"),
        ),
        bars(
            "Job limit reached",
            "Creations that ADT refused because another job runs (JobLimitReached), by the kind of the job "
            "in the way. unknown: that job is not known to the gateway.",
            Query(total(increase("adt_jobs_limit_reached_total"), "active"), "{{active}} in the way"),
        ),
        bars(
            "Writes that were not sent again",
            "Job writes that an app repeated and that were answered without being sent: from the record "
            "(recorded), from a read of the job (read), or with 502 since the outcome is still unknown.",
            Query(total(increase("adt_gateway_replayed_writes_total"), "result"), "{{result}}"),
            width=12,
        ),
        bars(
            "Failed reads of the watcher",
            "Reads by which the gateway itself follows unfinished jobs, and that failed. After 20 in a row "
            "it gives up on a job until a request shows it again.",
            Query(total(increase("adt_jobs_watch_failures_total")), "failed"),
            width=12,
        ),
    ],
)
