"""What the admin listener shows of the gateway's own state: readiness checks, status, jobs as JSON."""

import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice, product
from typing import Any

from gateway._version import __version__
from gateway.admin import Health, brief
from gateway.config import Settings
from gateway.drain import Drain
from gateway.job_requests import Company, JobsSide
from gateway.jobs import STATUSES, JobRecord, Ledger, job_view
from gateway.recent import WINDOW, Recent, UpstreamHealth
from gateway.resilience import Breaker, CircuitView
from gateway.tokens import Tokens, TokenState

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
    ) -> tuple[Iterable[Json], int]:
        """At most `limit` jobs of these kinds in these statuses, the newest first, and how many there are."""
        counts = self.ledger.snapshot().counts
        total = sum(counts.get(pair, 0) for pair in product(set(kinds), set(statuses)))
        return map(job_view, self._newest(kinds, statuses, limit, total)), total

    def _newest(
        self, kinds: Collection[str], statuses: Collection[str], limit: int, total: int
    ) -> Sequence[JobRecord]:
        """At most `limit` of the `total` jobs of these kinds in these statuses.

        A pass over every job holds the loop; the unfinished, or the newest of all, mostly have the answer.
        """

        def chosen(records: Iterable[JobRecord]) -> list[JobRecord]:
            return [record for record in records if record.kind in kinds and record.status in statuses]

        unfinished = chosen(reversed(self.ledger.unfinished()))
        if len(unfinished) == total:
            return unfinished[:limit]
        newest = chosen(self.ledger.newest(limit))
        return newest if len(newest) == min(limit, total) else chosen(self.ledger.jobs())[:limit]

    def unfinished(self, limit: int) -> Sequence[Json]:
        """At most `limit` of the jobs that have not ended, newest first."""
        return [job_view(record) for record in islice(reversed(self.ledger.unfinished()), limit)]

    def job(self, kind: str, job_id: str) -> Json | None:
        """One job, or None."""
        record = self.ledger.get(kind, job_id)
        return None if record is None else job_view(record)


def health(
    settings: Settings,
    tokens: Tokens | None,
    recent: Recent,
    circuit: Breaker,
    drain: Drain,
    company: Company | None,
) -> Health:
    """Readiness: a token is at hand where the gateway owns one, and it does not drain.

    Upstream and fleet are only told about: an app is not helped by losing its sidecar because ADT is away, or
    because the gateways have lost each other.
    """

    def token() -> tuple[bool, str]:
        if tokens is None:
            return True, f"auth.mode is {settings.auth.mode}"
        state = tokens.state()
        return state.valid, _of_token(state)

    def upstream() -> tuple[bool, str]:
        seen = _of_upstream(recent.upstream_health())
        left_alone = _of_circuit(circuit.view())
        return True, seen if left_alone is None else f"{left_alone}; {seen}"

    def draining() -> tuple[bool, str]:
        return not drain.draining, "shutting down" if drain.draining else "accepting requests"

    def fleet() -> tuple[bool, str]:
        return True, "" if company is None else _of_fleet(company)

    others = {} if company is None else {"fleet": fleet}
    return Health({"token": token, "upstream": upstream, "draining": draining, **others})


def _of_token(state: TokenState) -> str:
    """What an operator wants to know: for how long it holds, what is wrong, when it is tried again."""
    if state.valid:
        life = "does not expire" if state.expires_in is None else f"for another {brief(state.expires_in)}"
        held = f"valid, {life}"
    elif state.failures == 0:
        return "the first token is being fetched" if state.refreshed_on is None else "expired, being renewed"
    else:
        held = "none"
    if state.failures == 0:
        return held
    times = "once" if state.failures == 1 else f"{state.failures} times in a row"
    why = (state.message or state.reason or "").rstrip(".")
    again = "trying now" if not state.next_try_in else f"next try in {brief(state.next_try_in)}"
    return f"{held}; the refresh failed {times}: {why}; {again}"


def _of_fleet(company: Company) -> str:
    """Whether the gateways share their limits now, and what this one does where they cannot."""
    seen = company.peers.view()
    place = f"{company.store} ({seen.mode})"
    if seen.away is None:
        return f"limits are shared through {place}"
    size = company.peers.expected_size
    share = "the whole rate" if size == 1 else f"1/{size} of the rate"
    since = brief(seen.away_for)
    return f"{place} cannot be used for {since}: {seen.away}; this gateway keeps to {share} by itself"


def _of_circuit(seen: CircuitView) -> str | None:
    """Why requests are not sent, and until when; None where they are."""
    if seen.cause is None or seen.open_seconds is None:
        return None
    wait = math.ceil(seen.next_probe_in or 0)
    left = f"nothing is sent for another {brief(wait)}" if wait else "the next request is let through"
    return f"the circuit opened {brief(seen.open_seconds)} ago, because {seen.cause}: {left}"


def _of_upstream(seen: UpstreamHealth) -> str:
    window = brief(WINDOW)
    if seen.failing_for is not None:
        since = f"{brief(seen.failing_for)} ago"
        if seen.in_a_row == 1:
            return f"the last attempt failed {since} with {seen.error_type}"
        return f"the last {seen.in_a_row} attempts failed, the first {since}, the last with {seen.error_type}"
    if seen.failed:
        return f"answers; {seen.failed} of {seen.attempts} attempts failed in the last {window}"
    attempts = "1 attempt" if seen.attempts == 1 else f"{seen.attempts or 'no'} attempts"
    return f"no failure in the last {window} ({attempts})"


class Status:
    """`/api/status`: the gateway at a glance; holds no secret."""

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens | None,
        jobs: JobsSide,
        recent: Recent,
        circuit: Breaker,
        drain: Drain,
        checks: Health,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._jobs = jobs
        self._recent = recent
        self._circuit = circuit
        self._drain = drain
        self._checks = checks
        self._started = time.time()

    def __call__(self) -> Json:
        """JSON types only."""
        checks = self._checks.report()
        return {
            "version": __version__,
            "now": time.time(),
            "startedOn": self._started,
            "ready": all(result.ok for result in checks),
            "draining": self._drain.draining,
            "checks": [asdict(result) for result in checks],
            "upstream": {
                "baseUrl": self._settings.upstream.base_url,
                "engine": self._settings.upstream.engine,
                "circuit": self._circuit_at_a_glance(),
            },
            "jobs": self._jobs_at_a_glance(),
            "fleet": self._fleet_at_a_glance(),
            "token": None if self._tokens is None else asdict(self._tokens.state()),
            "traces": {"uiUrl": self._settings.tracing.ui_url},
            "recent": self._recent.view(),
        }

    def _circuit_at_a_glance(self) -> Json:
        seen = self._circuit.view()
        return {
            "state": seen.state,
            "cause": seen.cause,
            "openSeconds": seen.open_seconds,
            "nextProbeSeconds": seen.next_probe_in,
        }

    def _fleet_at_a_glance(self) -> Json | None:
        company = self._jobs.company
        if company is None:
            return None
        seen = company.peers.view()
        return {
            "store": company.store,
            "mode": seen.mode,
            "me": seen.me,
            "problem": seen.away,
            "awaySeconds": seen.away_for,
            "expectedSize": company.peers.expected_size,
            "watching": company.watching,
            "watchedBy": seen.holders.get("watch"),
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
