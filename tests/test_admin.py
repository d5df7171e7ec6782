"""The admin listener: what it shows, over real sockets."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.admin import HOSTILE_ID, LOCKED, OPEN, Broken, House, Jobs, ask, house, is_error, job
from tests.support.asgi_server import served


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
    assert (await client.get("/api/status")).json()["version"] == "1"
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
    assert "Not ready" in page.text
    assert "<none>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none';")


@pytest.mark.parametrize("path", [*OPEN, *LOCKED, "/nothing"])
async def test_safe_headers(client: httpx.AsyncClient, path: str) -> None:
    """No answer is cached, read as another type, or had by a page of another site."""
    headers = (await client.get(path)).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["cross-origin-resource-policy"] == "same-origin"


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
    jobs = Jobs({("import", str(n)): job("import", str(n)) for n in range(1200)})
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
    jobs = Jobs({(kind, id_): job(kind, id_, status) for kind, id_, status in known})
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
