"""The admin listener: what it shows, to whom, over real sockets."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from gateway.admin import Health, create_admin
from gateway.admin.access import host_name, is_loopback
from gateway.config import Admin
from gateway.metrics import Metrics
from tests.support.addresses import own_address
from tests.support.asgi_server import Application, served

ANY = "0.0.0.0"  # noqa: S104 - what the rules for other machines are about
TOKEN = "admin-token-1"
HOSTILE_ID = 'j 1/é"<script>'
OPEN = ("/metrics", "/livez", "/readyz")
LOCKED = ("/", "/api/status", "/api/jobs", "/api/jobs/import/one")


@dataclass
class Jobs:
    """Two jobs, one with an id that needs care."""

    known: dict[tuple[str, str], dict[str, object]] = field(
        default_factory=lambda: {
            (kind, job_id): {"kind": kind, "id": job_id, "status": "running"}
            for kind, job_id in (("import", "one"), ("deletion", HOSTILE_ID))
        }
    )

    statuses: Mapping[str, Collection[str]] = field(
        default_factory=lambda: {"import": ("running", "cancelled"), "deletion": ("running", "failed")}
    )

    def jobs(
        self, kinds: Collection[str], statuses: Collection[str], limit: int
    ) -> tuple[Sequence[Mapping[str, object]], int]:
        found = [job for job in self.known.values() if job["kind"] in kinds and job["status"] in statuses]
        return found[:limit], len(found)

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
    ) -> tuple[Sequence[Mapping[str, object]], int]:
        raise RuntimeError(f"secret detail {kinds} {statuses} {limit}")


@dataclass
class House:
    """An admin application with the switches behind it."""

    app: Application
    health: Health
    token: Check
    draining: Check


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
        status=lambda: {"version": "1"},
        jobs=jobs or Jobs(),
    )
    return House(app, health, token, draining)


@pytest.fixture
def admin() -> House:
    return house()


@pytest.fixture
async def client(admin: House) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin listener on this machine."""
    async with (
        served(admin.app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


def is_error(response: httpx.Response, status: int, code: str) -> bool:
    """Whether the answer is an ErrorResponse of the gateway's with this status and code."""
    error = response.json()["error"]
    return (
        (response.status_code, error["code"], response.headers["x-ms-error-code"]) == (status, code, code)
        and bool(error["message"])
        and response.headers["x-gateway-error-origin"] == "gateway"
    )


async def test_metrics(client: httpx.AsyncClient) -> None:
    """`/metrics` gives text, or OpenMetrics to whoever asks for it."""
    text = await client.get("/metrics")
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'adt_gateway_build_info{engine="httpx",version="1"} 1.0' in text.text
    open_metrics = await client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.text.endswith("# EOF\n")


async def test_readiness(client: httpx.AsyncClient, admin: House) -> None:
    """Ready while the checks hold and nothing drains; alive all the time."""
    assert ((await client.get("/readyz")).status_code, admin.health.ready) == (200, True)
    admin.token.ok = False
    assert ((await client.get("/readyz")).status_code, admin.health.ready) == (503, False)
    admin.token.ok = True
    admin.draining.ok = False
    assert ((await client.get("/readyz")).status_code, admin.health.ready) == (503, False)
    assert (await client.get("/livez")).status_code == 200


async def test_readiness_verbose(client: httpx.AsyncClient, admin: House) -> None:
    """`?verbose` says each check on a line of its own."""
    admin.token.ok = False
    verbose = await client.get("/readyz?verbose")
    assert verbose.status_code == 503
    assert verbose.text == "[-] token: <none> yet\n[+] draining: accepting requests\nnot ready\n"
    assert verbose.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await client.get("/readyz")).text == "not ready\n"


async def test_status_and_jobs(client: httpx.AsyncClient) -> None:
    """`/api` gives the status, the list of jobs with its total, and one job by kind and decoded id."""
    assert (await client.get("/api/status")).json() == {"version": "1"}
    listed = (await client.get("/api/jobs")).json()
    assert ([job["id"] for job in listed["value"]], listed["total"]) == (["one", HOSTILE_ID], 2)
    one = await client.get("/api/jobs/deletion/j%201%2F%C3%A9%22%3Cscript%3E")
    assert one.json()["id"] == HOSTILE_ID


@pytest.mark.parametrize("path", ["/api/jobs/import/two", "/api/jobs/purge/one", "/api/nothing", "/metrics/"])
async def test_not_found(client: httpx.AsyncClient, path: str) -> None:
    """Unknown jobs and paths get a 404 in the one error shape, and no redirect."""
    assert is_error(await client.get(path), 404, "NotFound")


@pytest.mark.parametrize("path", [*OPEN, *LOCKED])
async def test_read_only(client: httpx.AsyncClient, path: str) -> None:
    """Only GET and HEAD are answered; HEAD has the headers of GET and no body."""
    refused = await client.post(path)
    assert is_error(refused, 405, "GatewayMethodNotAllowed")
    assert refused.headers["allow"] == "GET, HEAD"
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.headers["content-type"], head.content) == (
        200,
        got.headers["content-type"],
        b"",
    )


async def test_page(client: httpx.AsyncClient, admin: House) -> None:
    """The page shows health, escaped, and may load nothing from anywhere."""
    admin.token.ok = False
    page = await client.get("/")
    assert "&lt;none&gt; yet" in page.text
    assert "not ready" in page.text
    assert "<none>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none';")


@pytest.mark.parametrize("path", [*OPEN, *LOCKED, "/nothing"])
async def test_safe_headers(client: httpx.AsyncClient, path: str) -> None:
    """No answer is cached or read as another type."""
    headers = (await client.get(path)).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:9464", True),
        ("127.0.0.1:1", True),
        ("[::1]:9464", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        (ANY, False),
        ("", False),
    ],
)
async def test_host(client: httpx.AsyncClient, host: str, *, allowed: bool) -> None:
    """A foreign Host opens neither page nor `/api`, so DNS rebinding does not; probes may use any."""
    for path in LOCKED:
        response = await client.get(path, headers={"host": host})
        assert response.status_code == 200 if allowed else is_error(response, 421, "GatewayMisdirected")
    for path in OPEN:
        assert (await client.get(path, headers={"host": host})).status_code == 200


async def test_bound_name_is_allowed() -> None:
    """The name that the listener is bound to is one of its Hosts."""
    async with (
        served(house(Admin(host="admin.internal")).app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        assert (await client.get("/api/jobs", headers={"host": "admin.internal:9464"})).status_code == 200


async def test_two_hosts() -> None:
    """Two Host headers are no Host at all."""
    async with served(house().app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /api/jobs HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        status = (await reader.read()).split(b"\r\n", 1)[0]
        writer.close()
        await writer.wait_closed()
    assert status.split()[1] in {b"400", b"421"}


async def ask(app: Application, path: str, peer: str, headers: Mapping[str, str]) -> httpx.Response:
    """The application's answer to a peer at any address."""
    transport = httpx.ASGITransport(app=app, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:9464") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("path", LOCKED)
@pytest.mark.parametrize(
    ("settings", "headers", "status", "code"),
    [
        (Admin(host=ANY), {}, 403, "GatewayForbidden"),
        (Admin(host=ANY), {"x-forwarded-for": "127.0.0.1"}, 403, "GatewayForbidden"),
        (Admin(host=ANY), {"authorization": "Bearer None"}, 403, "GatewayForbidden"),
        (Admin.model_validate({"token": TOKEN}), {}, 401, "GatewayUnauthorized"),
        (Admin.model_validate({"token": TOKEN}), {"authorization": "Bearer x"}, 401, "GatewayUnauthorized"),
        (Admin.model_validate({"token": TOKEN}), {"authorization": TOKEN}, 401, "GatewayUnauthorized"),
        (
            Admin.model_validate({"token": TOKEN}),
            {"authorization": f"Basic {TOKEN}"},
            401,
            "GatewayUnauthorized",
        ),
    ],
)
async def test_other_machines_are_refused(
    path: str, settings: Admin, headers: dict[str, str], status: int, code: str
) -> None:
    """Page and `/api` stay shut to other machines without the token, whatever headers say."""
    response = await ask(house(settings).app, path, "10.9.8.7", {"host": "localhost", **headers})
    assert is_error(response, status, code)
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert TOKEN not in response.text


@pytest.mark.parametrize("path", LOCKED)
async def test_the_token_opens(path: str) -> None:
    """`admin.token` opens page and `/api` to any peer under any Host."""
    settings = Admin.model_validate({"token": TOKEN})
    for scheme in ("Bearer", "bearer"):
        response = await ask(house(settings).app, path, "10.9.8.7", {"authorization": f"{scheme} {TOKEN}"})
        assert response.status_code == 200


@pytest.mark.parametrize("path", OPEN)
async def test_probes_are_open(path: str) -> None:
    """Metrics and health answer any peer, as a kubelet or Prometheus needs."""
    assert (await ask(house(Admin(host=ANY)).app, path, "10.9.8.7", {})).status_code == 200


async def test_the_peer_is_the_sockets() -> None:
    """Over a real socket from an address that is not loopback, forwarded headers open nothing."""
    address = own_address()
    if address is None or is_loopback(address):
        pytest.skip("this machine has no address but loopback")
    async with (
        served(house(Admin(host=ANY)).app, ANY) as port,
        httpx.AsyncClient(base_url=f"http://{address}:{port}", trust_env=False) as client,
    ):
        spoofed = {"host": "localhost", "x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"}
        assert is_error(await client.get("/api/jobs", headers=spoofed), 403, "GatewayForbidden")
        assert (await client.get("/metrics")).status_code == 200


async def test_a_bug_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An exception inside becomes a 500 in the error shape without its text; the log has it."""
    with caplog.at_level(logging.ERROR):
        async with (
            served(house(jobs=Broken()).app) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            response = await client.get("/api/jobs")
    assert is_error(response, 500, "GatewayInternal")
    assert "secret detail" not in response.text
    assert "secret detail" in caplog.text


async def test_list_is_bounded() -> None:
    """A long ledger is cut to its newest thousand jobs, and the total says so."""
    jobs = Jobs(
        {("import", str(n)): {"kind": "import", "id": str(n), "status": "running"} for n in range(1200)}
    )
    response = await ask(house(jobs=jobs).app, "/api/jobs", "127.0.0.1", {"host": "localhost"})
    listed: dict[str, Any] = json.loads(response.content)
    assert (len(listed["value"]), listed["total"]) == (1000, 1200)


@pytest.mark.parametrize(
    ("query", "ids", "total"),
    [
        ("", ["a", "b", "c"], 3),
        ("?kind=import", ["a", "b"], 2),
        ("?status=running", ["a"], 1),
        ("?status=running&status=failed", ["a", "c"], 2),
        ("?kind=deletion&status=failed", ["c"], 1),
        ("?kind=deletion&kind=import&limit=2", ["a", "b"], 3),
        ("?kind=deletion&status=cancelled", [], 0),
        ("?limit=1000&other=1", ["a", "b", "c"], 3),
    ],
)
async def test_jobs_are_chosen(query: str, ids: list[str], total: int) -> None:
    """Kinds, statuses and a limit choose among the jobs; the total counts those that match."""
    known = (("import", "a", "running"), ("import", "b", "cancelled"), ("deletion", "c", "failed"))
    jobs = Jobs({(kind, id_): {"kind": kind, "id": id_, "status": status} for kind, id_, status in known})
    answer = await ask(house(jobs=jobs).app, f"/api/jobs{query}", "127.0.0.1", {"host": "localhost"})
    listed = answer.json()
    assert ([job["id"] for job in listed["value"]], listed["total"]) == (ids, total)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("kind=purge", "kind must be one of deletion, import."),
        ("kind=import&kind=", "kind must be one of deletion, import."),
        ("status=done", "status must be one of cancelled, failed, running."),
        ("status=", "status must be one of cancelled, failed, running."),
        *((f"limit={limit}", "limit must be a whole number from 1 to 1000.") for limit in (
            "0", "-1", "1001", "1e2", "", "%20", "+5", "%D9%A5", "9" * 5_000,
        )),
    ],
)  # fmt: skip
async def test_a_choice_that_makes_no_sense(query: str, named: str) -> None:
    """A kind, status or limit that cannot be is a 400 that says what can, and repeats nothing."""
    answer = await ask(house().app, f"/api/jobs?{query}", "127.0.0.1", {"host": "localhost"})
    assert is_error(answer, 400, "GatewayRequestInvalid")
    assert answer.json()["error"]["message"] == named


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("localhost", False),
        ("", False),
        ("127.1", False),
    ],
)
def test_is_loopback(address: str, *, loopback: bool) -> None:
    """Only literal loopback addresses count, IPv4 mapped into IPv6 too."""
    assert is_loopback(address) is loopback


@pytest.mark.parametrize(
    ("value", "name"),
    [("A.b:80", "a.b"), ("a.b", "a.b"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("", ""), ("[", "")],
)
def test_host_name(value: str, name: str) -> None:
    """A Host's name is what stands before its port, without brackets."""
    assert host_name(value) == name
