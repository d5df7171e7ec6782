"""What the admin listener shows of the gateway's own state: readiness checks, status, jobs as JSON."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway._version import __version__
from gateway.admin import Health
from gateway.config import Settings
from gateway.drain import Drain
from gateway.jobs import Ledger, job_view
from gateway.tokens import Tokens
from gateway.upstream import Upstream

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerView:
    """The ledger as JSON, newest job first."""

    ledger: Ledger

    def __len__(self) -> int:
        return len(self.ledger)

    def jobs(self, limit: int) -> Sequence[Json]:
        """At most `limit` jobs, the newest first."""
        return [job_view(record) for record in self.ledger.jobs()[:limit]]

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

    def __init__(self, settings: Settings, tokens: Tokens | None, ledger: Ledger, checks: Health) -> None:
        self._settings = settings
        self._tokens = tokens
        self._ledger = ledger
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
            "jobs": {"known": len(self._ledger), "lastSeenOn": self._ledger.snapshot().last_sync},
            "token": None if self._tokens is None else asdict(self._tokens.state()),
        }
