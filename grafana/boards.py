"""The three dashboards, and their files."""

import json
from pathlib import Path

from grafana import fleet, itself, job_requests, jobs, tokens, traffic, upstream
from grafana.board import Board, Row

FOLDER = Path(__file__).parent / "dashboards"

OVERVIEW = Board(
    uid="adt-gateway-overview",
    name="overview",
    title="ADT gateway: overview",
    description="All parts of the gateway in the order in which a request meets them.",
    since="now-1h",
    rows=[
        Row(
            "At a glance",
            [
                panel.wide(3)
                for panel in (
                    traffic.RATE,
                    traffic.FAILED_SHARE,
                    traffic.P95,
                    itself.OWN_TIME,
                    tokens.LEFT,
                    jobs.UNFINISHED_NOW,
                    jobs.FAILED,
                    itself.REACHED,
                )
            ],
        ),
        traffic.REQUESTS,
        traffic.ERRORS,
        Row("Upstream", [upstream.BY_STATUS, upstream.DURATION, upstream.SENT_AGAIN]),
        Row("Token", [tokens.LIFE.wide(12), tokens.REQUESTS.wide(12)]),
        Row("Jobs", [jobs.STATES, jobs.OLDEST.wide(12), jobs.FINISHED.wide(12)]),
        itself.ITSELF,
    ],
)
JOBS = Board(
    uid="adt-gateway-jobs",
    name="jobs",
    title="ADT gateway: jobs",
    description="Import and deletion jobs: state, ends, durations, failures, and the requests about them.",
    since="now-24h",
    rows=[jobs.NOW, jobs.OVER_TIME, jobs.ENDED, job_requests.JOBS_API, fleet.FLEET, jobs.ONE_BY_ONE],
)
UPSTREAM = Board(
    uid="adt-gateway-upstream",
    name="credentials-and-upstream",
    title="ADT gateway: credentials and upstream",
    description="Attempts at ADT, and the token that they carry.",
    since="now-6h",
    rows=[upstream.GLANCE, upstream.ATTEMPTS, tokens.TOKEN],
)
BOARDS = (OVERVIEW, JOBS, UPSTREAM)


def files() -> dict[Path, str]:
    """What each file of a dashboard has to hold."""
    return {
        FOLDER / f"{board.name}.json": json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
        for board in BOARDS
    }
