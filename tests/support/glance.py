"""What `/api/status` and the ledger give the status page, as literals that a test changes."""

from typing import Any

NOW = 1_780_000_000.0
"""2026-05-28 20:26:40 UTC."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UI = "https://traces.example/trace/{trace_id}"


def series(**newest: Any) -> list[dict[str, Any]]:
    """Sixty steps without a request; `newest` is what the last one but one says."""
    empty = {"requests": 0, "failed": 0, "p50Seconds": None, "p95Seconds": None}
    steps = [{"start": NOW - 600 + 10 * step, **empty} for step in range(60)]
    steps[-2].update(newest)
    return steps


def busy(requests: int = 200, failed: int = 0) -> list[dict[str, Any]]:
    """A series with traffic in one step."""
    return series(requests=requests, failed=failed, p50Seconds=0.012, p95Seconds=0.048)


def token(**changes: Any) -> dict[str, Any]:
    """A valid token with an hour to go."""
    return {
        "source": "oauth2",
        "valid": True,
        "expires_in": 3600.0,
        "expires_on": NOW + 3600,
        "refreshed_on": NOW - 5,
        "result": "success",
        "reason": None,
        "message": None,
        "failures": 0,
        "next_try_in": 1800.0,
        **changes,
    }


def error(code: str = "JobLimitReached", **changes: Any) -> dict[str, Any]:
    """One code with one trace."""
    latest = {
        "on": NOW - 9,
        "traceId": TRACE,
        "sampled": True,
        "method": "PUT",
        "route": "/jobs/imports/{id}",
    }
    return {
        "code": code,
        "origin": "upstream",
        "count": 3,
        "status": 400,
        "lastOn": NOW - 9,
        "latest": [latest],
        **changes,
    }


def status(**changes: Any) -> dict[str, Any]:
    """A gateway that has just started."""
    return {
        "version": "1.2.3",
        "now": NOW,
        "startedOn": NOW - 95,
        "ready": True,
        "draining": False,
        "checks": [{"name": "token", "ok": True, "detail": "valid"}],
        "upstream": {"baseUrl": "https://twins.example", "engine": "pyreqwest", "circuit": circuit()},
        "jobs": jobs_at_a_glance(),
        "token": token(),
        "traces": {"uiUrl": UI},
        "recent": recent(),
        **changes,
    }


def circuit(**changes: Any) -> dict[str, Any]:
    """A circuit that is closed."""
    closed = {"state": "closed", "cause": None, "openSeconds": None, "nextProbeSeconds": None}
    return {**closed, **changes}


def recent(**changes: Any) -> dict[str, Any]:
    """Ten minutes in which nothing happened."""
    empty = {"stepSeconds": 10, "windowSeconds": 600, "app": series(), "upstream": series(), "errors": []}
    return {**empty, **changes}


def jobs_at_a_glance(**changes: Any) -> dict[str, Any]:
    """Nothing known, nothing wrong."""
    return {
        "known": 0,
        "lastSeenOn": None,
        "store": {"name": "memory", "problem": None},
        "turns": {"queued": {"write": 0, "read": 0, "watch": 0}, "pausedSeconds": 0.0},
        "watcher": {"following": 0, "nextReadSeconds": None, "failingSince": None, "givenUp": []},
        **changes,
    }


def job(job_id: str = "one", **changes: Any) -> dict[str, Any]:
    """An import that ran for half a minute and succeeded ten seconds ago."""
    return {
        "kind": "import",
        "id": job_id,
        "status": "succeeded",
        "isOver": True,
        "errorCode": None,
        "createdDateTime": "2026-05-28T20:25:58.0000000Z",
        "finishedDateTime": "2026-05-28T20:26:30.0000000Z",
        "purgeDateTime": None,
        "durationSeconds": 32.0,
        "firstSeen": "2026-05-28T20:25:58.0000000Z",
        "lastSeen": "2026-05-28T20:26:30.0000000Z",
        "sightings": 4,
        "createdHere": True,
        "traceId": TRACE,
        "traceSampled": True,
        "history": [
            {"status": "notstarted", "seen": "2026-05-28T20:25:58.0000000Z"},
            {"status": "running", "seen": "2026-05-28T20:26:06.0000000Z"},
            {"status": "succeeded", "seen": "2026-05-28T20:26:30.0000000Z"},
        ],
        **changes,
    }


def running(job_id: str = "now", **changes: Any) -> dict[str, Any]:
    """An import that still runs."""
    open_end = {"status": "running", "isOver": False, "finishedDateTime": None, "durationSeconds": None}
    return job(job_id, **{**open_end, **changes})
