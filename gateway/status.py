"""What the admin listener shows of the gateway's own state: readiness checks, status, jobs as JSON."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway._version import __version__
from gateway.admin import Health
from gateway.config import Settings
from gateway.drain import Drain
from gateway.job_requests import JobsSide
from gateway.jobs import STATUSES, Ledger, job_view
from gateway.tokens import Tokens
from gateway.upstream import Upstream

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger as JSON, newest job first."""

    ledger: Ledger

    @property
    def statuses(self) -> Mapping[str, Collection[str]]:
        """Kinds of jobs and their statuses."""
        return STATUSES

    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Sequence[Json], int]:
        """At most `limit` jobs of these kinds in these statuses, the newest first, and how many there are."""
        found = [job for job in self.ledger.jobs() if job.kind in kinds and job.status in statuses]
        return [job_view(record) for record in found[:limit]], len(found)

    def job(self, kind: str, job_id: str) -> Json | None:
        """One job, or None."""
        record = self.ledger.get(kind, job_id)
        return None if record is None else job_view(record)


def health(settings: Settings, upstream: Upstream, tokens: Tokens | None, drain: Drain) -> Health:
    """Readiness: a token is at hand where the gateway owns one, and it does not drain.

    The upstream is only told about: an app is not helped by losing its sidecar because ADT is away.
    """

    def reached() -> tuple[bool, str]:
        failure = upstream.last_failure
        return True, "no failure" if failure is None else f"the last request ended with {failure}"

    def token() -> tuple[bool, str]:
        if tokens is None:
            return True, f"auth.mode is {settings.auth.mode}"
        if tokens.ready:
            return True, "valid"
        state = tokens.state()
        return False, state.message or state.reason or "the first token is being fetched"

    def draining() -> tuple[bool, str]:
        return not drain.draining, "shutting down" if drain.draining else "accepting requests"

    return Health({"token": token, "upstream": reached, "draining": draining})


class Status:
    """`/api/status`: the gateway at a glance; holds no secret."""

    def __init__(self, settings: Settings, tokens: Tokens | None, jobs: JobsSide, checks: Health) -> None:
        self._settings = settings
        self._tokens = tokens
        self._jobs = jobs
        self._checks = checks
        self._started = time.time()

    def __call__(self) -> Json:
        """JSON types only."""
        return {
            "version": __version__,
            "startedOn": self._started,
            "ready": self._checks.ready,
            "checks": [asdict(result) for result in self._checks.report()],
            "upstream": {
                "baseUrl": self._settings.upstream.base_url,
                "engine": self._settings.upstream.engine,
            },
            "jobs": self._jobs_at_a_glance(),
            "token": None if self._tokens is None else asdict(self._tokens.state()),
        }

    def _jobs_at_a_glance(self) -> Json:
        jobs = self._jobs
        watcher = jobs.watcher.state()
        return {
            "known": len(jobs.ledger),
            "lastSeenOn": jobs.ledger.snapshot().last_sync,
            "store": {"name": jobs.store.name, "problem": jobs.store.problem},
            "turns": {
                "queued": {
                    priority.name.lower(): count for priority, count in jobs.governor.queued().items()
                },
                "pausedSeconds": jobs.governor.paused_for,
            },
            "watcher": {
                "following": watcher.following,
                "nextReadSeconds": watcher.next_read_in,
                "failingSince": watcher.failing_since,
                "givenUp": list(watcher.given_up),
            },
        }
