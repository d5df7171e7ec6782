"""An admin application with the switches behind it, and a status and jobs as a gateway has them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from gateway.admin import Health, create_admin
from gateway.config import Admin
from gateway.metrics import Metrics
from gateway.recent import Recent
from tests.support.asgi_server import Application
from tests.support.glance import circuit

HOSTILE_ID = 'j 1/é"<script>'
OPEN = ("/metrics", "/livez", "/readyz")
LOCKED = ("/", "/static/page.css", "/api/status", "/api/jobs", "/api/jobs/import/one")


def job(kind: str, job_id: str, status: str = "running") -> dict[str, object]:
    """A job as the ledger shows it, seen once."""
    seen = "2025-06-15T15:06:40.0000000Z"
    absent = (
        "errorCode",
        "createdDateTime",
        "finishedDateTime",
        "purgeDateTime",
        "durationSeconds",
        "traceId",
    )
    return dict.fromkeys(absent) | {
        "kind": kind,
        "id": job_id,
        "status": status,
        "firstSeen": seen,
        "lastSeen": seen,
        "isOver": status not in {"notstarted", "running", "cancelling"},
        "sightings": 1,
        "createdHere": False,
        "traceSampled": False,
        "history": [{"status": status, "seen": seen}],
    }


@dataclass
class Jobs:
    """Two jobs, one with an id that needs care."""

    known: dict[tuple[str, str], dict[str, object]] = field(
        default_factory=lambda: {
            (kind, job_id): job(kind, job_id)
            for kind, job_id in (("import", "one"), ("deletion", HOSTILE_ID))
        }
    )

    statuses: Mapping[str, Collection[str]] = field(
        default_factory=lambda: {"import": ("running", "cancelled"), "deletion": ("running", "failed")}
    )

    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Iterable[Mapping[str, object]], int]:
        found = [job for job in self.known.values() if job["kind"] in kinds and job["status"] in statuses]
        return found[:limit], len(found)

    def unfinished(self, limit: int) -> Sequence[Mapping[str, object]]:
        return [job for job in self.known.values() if not job["isOver"]][:limit]

    def job(self, kind: str, job_id: str) -> Mapping[str, object] | None:
        return self.known.get((kind, job_id))


class Check:
    """A readiness check that a test can turn."""

    def __init__(self, good: str, bad: str) -> None:
        self.ok = True
        self._words = {True: good, False: bad}

    def __call__(self) -> tuple[bool, str]:
        return self.ok, self._words[self.ok]


class Broken(Jobs):
    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Iterable[Mapping[str, object]], int]:
        raise RuntimeError(f"secret detail {kinds} {statuses} {limit}")


@dataclass
class House:
    """An admin application with the switches behind it."""

    app: Application
    health: Health
    token: Check
    draining: Check


def glance(health: Health) -> dict[str, Any]:
    """What `/api/status` gives of a gateway that has done nothing yet."""
    return {
        "version": "1",
        "now": 1_750_000_000.0,
        "startedOn": 1_749_999_000.0,
        "ready": health.ready,
        "draining": False,
        "checks": [asdict(result) for result in health.report()],
        "upstream": {"baseUrl": "https://twins.example", "engine": "httpx", "circuit": circuit()},
        "jobs": {
            "known": 0,
            "lastSeenOn": None,
            "store": {"name": "memory", "problem": None},
            "turns": {"queued": {"write": 0, "read": 0, "watch": 0}, "pausedSeconds": 0.0},
            "watcher": {"following": 0, "nextReadSeconds": None, "failingSince": None, "givenUp": []},
        },
        "token": None,
        "traces": {"uiUrl": None},
        "recent": Recent(frozenset()).view(),
    }


def house(settings: Admin | None = None, jobs: Jobs | None = None) -> House:
    token = Check("valid", "<none> yet")
    draining = Check("accepting requests", "shutting down")
    health = Health({"token": token, "draining": draining})
    metrics = Metrics(
        version="1", engine="httpx", server_address="x", known_codes=frozenset(), gateway_codes=frozenset()
    )
    app = create_admin(
        settings or Admin(),
        metrics=metrics,
        health=health,
        status=lambda: glance(health),
        jobs=jobs or Jobs(),
    )
    return House(app, health, token, draining)


def is_error(response: httpx.Response, status: int, code: str) -> bool:
    """Whether the answer is an ErrorResponse of the gateway's with this status and code."""
    error = response.json()["error"]
    return (
        (response.status_code, error["code"], response.headers["x-ms-error-code"]) == (status, code, code)
        and bool(error["message"])
        and response.headers["x-gateway-error-origin"] == "gateway"
    )


async def ask(app: Application, path: str, peer: str, headers: Mapping[str, str]) -> httpx.Response:
    """The application's answer to a peer at any address."""
    transport = httpx.ASGITransport(app=app, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:9464") as client:
        return await client.get(path, headers=headers)
