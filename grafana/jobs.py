"""Bulk jobs: their state over time, how they ended, how long they took."""

from grafana.board import Row
from grafana.graphs import bars, heatmap, lines, table, timeline
from grafana.panels import BAD, MUTED, NONE_IS_GOOD, OK, STATUS_COLOURS, Query, coloured, stat, value_texts
from grafana.queries import RANGE, UNFINISHED, counted, events, quantile, select, total

_JOBS = "adt_jobs"
_FINISHED = "adt_jobs_finished_total"
_DURATION = "adt_job_duration_seconds"
_FAILED = 'status="failed"'
_COLOURS = [coloured(rf"\b{status}\b", colour) for status, colour in STATUS_COLOURS.items()]
_STORE = {"1": ("keeps", OK), "0": ("fails", BAD)}

UNFINISHED_NOW = stat(
    "Unfinished jobs",
    "Jobs that have not started, run, or are being cancelled, now. ADT runs one at a time.",
    Query(total(select(_JOBS, UNFINISHED))),
    "short",
)
FAILED = stat(
    "Failed jobs",
    "Jobs that ended as failed in the time range; each counts once, however often it is polled. The "
    "failures by code on the jobs dashboard say why.",
    Query(counted(_FINISHED, _FAILED)),
    "short",
    steps=NONE_IS_GOOD,
    empty="none",
)
STATES = timeline(
    "Jobs by status",
    "How many jobs have each status. A finished job stays until it is deleted or purged, so a number at "
    "failed or succeeded is not of now; at notstarted, running and cancelling it is. Muted: none.",
    Query(total(select(_JOBS), "kind", "status"), "{{kind}} {{status}}"),
    {"0": ("0", "rgba(128, 128, 128, 0.15)")},
    overrides=_COLOURS,
    height=9,
)
FINISHED = bars(
    "Jobs that ended",
    "Jobs that ended, by kind and status. The first of a kind counts too. A dot is a job: the trace in "
    "which it was created opens from there, if it was sampled. Empty: none ended.",
    Query(total(events(_FINISHED), "kind", "status"), "{{kind}} {{status}}", exemplar=True),
    overrides=_COLOURS,
)
OLDEST = lines(
    "Oldest unfinished job",
    "Age of the oldest job that has not ended, by kind; 0 without one. Imports run for minutes to hours, "
    "deletions for up to a day; what climbs beyond that hangs.",
    Query(f"max by (kind) ({select('adt_job_oldest_active_age_seconds')})", "{{kind}}"),
    "s",
)

NOW = Row(
    "Jobs at a glance",
    [
        UNFINISHED_NOW,
        FAILED,
        stat(
            "Age of the oldest",
            "Age of the oldest job that has not ended, by kind; 0 without one.",
            Query(f"max by (kind) ({select('adt_job_oldest_active_age_seconds')})", "{{kind}}"),
            "s",
            width=6,
        ),
        stat(
            "Last heard of jobs",
            "When the last answer about jobs was read, of the gateway that has heard nothing for longest. "
            "With unfinished jobs that is at most half a minute ago, unless the reads fail or jobs.watch is "
            "off; without any it may be long ago. No data: none was read since the start.",
            Query(f"min({select('adt_jobs_last_sync_timestamp_seconds')}) * 1000"),
            "dateTimeFromNow",
            width=5,
            empty="never",
        ),
        stat(
            "Jobs store",
            "Whether the store keeps what it is given, the worst of the chosen gateways. When it fails, "
            "jobs and job writes are known in memory only, and a restart forgets them; the log says why.",
            Query(f"min({select('adt_jobs_store_up')})"),
            "short",
            steps=((None, BAD), (1, OK)),
            width=5,
            mappings=value_texts(_STORE),
        ),
    ],
)

OVER_TIME = Row("State of the jobs", [STATES, OLDEST.wide(12), FINISHED.wide(12)])

_BY = ("kind", "status")
_BUCKETS = events(f"{_DURATION}_bucket", over=RANGE)
ENDED = Row(
    "Ended jobs: durations, failures by code",
    [
        table(
            "Durations in the time range",
            "How long the jobs took that ended in the time range, from created to finished as ADT tells it. "
            "Medians and percentiles are read from buckets of 10 s to 24 h, and so are coarse. Empty: none "
            "ended.",
            [
                Query(counted(f"{_DURATION}_count", "", *_BY)),
                Query(
                    f"{total(events(f'{_DURATION}_sum', over=RANGE), *_BY)}"
                    f" / ({total(events(f'{_DURATION}_count', over=RANGE), *_BY)} > 0)"
                ),
                Query(f"{quantile(0.5, _BUCKETS, *_BY)} > 0"),
                Query(f"{quantile(0.95, _BUCKETS, *_BY)} > 0"),
            ],
            "s",
            {
                "kind": "Kind",
                "status": "Status",
                "Value #A": "Jobs",
                "Value #B": "Mean",
                "Value #C": "Median",
                "Value #D": "95 % at most",
            },
            units={"Jobs": "short"},
            sort="Jobs",
        ),
        table(
            "Failures by code",
            "Jobs that failed in the time range, by the error code that ADT gave. No code: ADT named none. "
            "'other': one that is neither in ADT's reference nor in metrics.extra_error_codes. Empty: none "
            "failed.",
            Query(counted(_FINISHED, _FAILED, "kind", "error_code")),
            "short",
            {"kind": "Kind", "error_code": "Code", "Value": "Failed jobs"},
            sort="Failed jobs",
        ),
        heatmap(
            "Durations",
            "How many of the jobs that ended took how long; the scale has the upper bounds of the "
            "histogram's buckets. A dot is a job: the trace in which it was created opens from there. "
            "Empty: none ended.",
            Query(total(events(f"{_DURATION}_bucket"), "le"), "{{le}}", exemplar=True),
            width=12,
            interval="1m",
        ),
        bars(
            "Failures by code over time",
            "Jobs that failed, by kind and code. The first of a kind counts too. A dot is a job: the trace "
            "in which it was created opens from there. Empty: none failed.",
            Query(
                total(events(_FINISHED, _FAILED), "kind", "error_code"),
                "{{kind}} {{error_code}}",
                exemplar=True,
            ),
            width=12,
        ),
    ],
)


def _states() -> str:
    """One number for the status that each job has, in the order of `STATUS_COLOURS`, from 1."""
    of_status = [select("adt_job_status", f'status="{status}"') for status in STATUS_COLOURS]
    numbered = [f"{series} * {number}" for number, series in enumerate(of_status, start=1)]
    return f"max by (kind, job_id) ({' or '.join(numbered)})"


ONE_BY_ONE = Row(
    "One by one (only with metrics.job_series)",
    [
        stat(
            "Jobs shown one by one",
            "How many jobs have series of their own: the newest, at most metrics.job_series for each "
            "gateway. No data: metrics.job_series is 0, its default; all else on this page works without it.",
            Query(f"count(count by (kind, job_id) ({select('adt_job_info')}))"),
            "short",
            width=24,
            empty="metrics.job_series is 0",
        ),
        timeline(
            "Status of each job",
            "The status of each of the newest jobs over time. No data: metrics.job_series is 0, its "
            "default. Ids are cut at 128 characters.",
            Query(_states(), "{{kind}} {{job_id}}"),
            {str(number): named for number, named in enumerate(STATUS_COLOURS.items(), start=1)},
            steps=((None, MUTED),),
            height=12,
        ),
    ],
)
