"""`adt-gateway jobs list`, `show` and `cancel` beside a real gateway: what is shown, and what is sent."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.addresses import require_own_address
from tests.support.azure import VERSION, Azure, fast, gateway_to, http_client, running_azure
from tests.support.process import run
from tests.support.shell import (
    ID,
    PATH,
    QUIET,
    TRACE,
    at,
    at_terminal,
    failed,
    finish,
    jobs,
    running_beside,
    start,
)

KEY = "a-key-of-16-chars-or-more"
ANY = "0.0.0.0"  # noqa: S104 - what other machines could reach


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_beside() as running:
        yield running


async def test_the_list(azure: Azure) -> None:
    """Jobs are listed newest first, whole where it is no terminal; --json is the gateway's own answer."""
    azure.change(job_seconds=0)
    await start(azure, "/jobs/imports/first", "broken-model.ndjson")
    await finish(azure, "/jobs/imports/first", "failed")
    azure.change(job_seconds=3_600)
    await start(azure)
    table, raw = await asyncio.gather(
        run("jobs", "list", environ=at(azure)),
        run("jobs", "list", "--json", environ={**at(azure), "PYTHONIOENCODING": "ascii"}),
    )
    header, newest, oldest = (re.split(r" {2,}", line.strip()) for line in table.out.splitlines())
    assert header == ["KIND", "ID", "STATUS", "CREATED (UTC)", "ELAPSED", "ERROR", "TRACE"]
    assert (newest[:2], newest[5:]) == (["import", ID], ["-", TRACE[:8]])
    assert (oldest[1:3], oldest[5:]) == (["first", "failed"], ["DTDLParsingError", TRACE[:8]])
    async with azure.operator() as operator:
        assert json.loads(raw.out) == (await operator.get("/api/jobs")).json()


async def test_a_choice_of_jobs(azure: Azure) -> None:
    """Kinds, statuses and a limit choose; what the limit leaves out is counted, and none is said."""
    azure.change(job_seconds=0)
    await start(azure, "/jobs/imports/first")
    await finish(azure, "/jobs/imports/first")
    await start(azure)
    some = await jobs(azure, "list", "--limit", "1")
    assert (some.out.count("\n"), some.err) == (2, "1 older ones are not shown; see --limit and --status.\n")
    none = await jobs(azure, "list", "--kind", "deletion", "--status", "failed", "--status", "running")
    assert (none.code, none.out) == (0, "No such jobs.\n")
    chosen = await jobs(azure, "list", "--status", "succeeded", "--kind", "import")
    assert (" first " in chosen.out, ID in chosen.out) == (True, False)
    async with azure.operator() as operator:
        told = (await operator.get("/api/jobs?kind=import&status=succeeded&limit=1")).json()
    assert ([job["id"] for job in told["value"]], told["total"]) == (["first"], 1)


async def test_a_gateway_that_has_seen_nothing(azure: Azure) -> None:
    """Where there are no jobs, that is said; a job that is not known is an error."""
    listed = await jobs(azure, "list")
    assert (listed.code, listed.out, listed.err) == (0, "The gateway has not seen any job.\n", "")
    assert json.loads((await jobs(azure, "list", "--json")).out) == {"value": [], "total": 0}
    failed(await jobs(azure, "show", "import", "x"), 1, "The gateway knows no import job x.")
    failed(await jobs(azure, "watch", "deletion", "x"), 1, "The gateway knows no deletion job x.")
    watched = await jobs(azure, "watch")
    assert (watched.code, watched.out) == (0, "No unfinished jobs.\n")


async def test_one_job(azure: Azure) -> None:
    """All of one job is shown, whatever its id and the terminal's encoding; no blob URI is."""
    await start(azure)
    await finish(azure)
    sheet = await run("jobs", "show", "import", ID, environ={**at(azure), "PYTHONIOENCODING": "ascii"})
    raw = await jobs(azure, "show", "import", ID, "--json")
    told = [re.split(r" {2,}", line.strip()) for line in sheet.out.splitlines()]
    assert told[:2] == [["import job", "j 1/\\xe9"], ["status", "succeeded"]]
    assert ["trace", TRACE] in told
    assert told[-2][:2] == ["history", "notstarted"]
    assert told[-1][0] == "succeeded"
    async with azure.operator() as operator:
        assert json.loads(raw.out) == (await operator.get("/api/jobs/import/j%201%2F%C3%A9")).json()
    assert "canary" not in sheet.out + raw.out


async def test_an_id_with_escape_sequences(azure: Azure) -> None:
    """What somebody put into an id cannot take hold of the terminal of whoever looks at it."""
    azure.change(verify_tokens=False)
    async with http_client(azure.cloud.url) as other, azure.app() as app:
        hostile = "/jobs/imports/x%1B%5D0%3Bowned%07%E2%80%AE"
        assert (await other.put(hostile, json=azure.import_body())).status_code == 201
        assert (await app.get("/jobs/imports")).status_code == 200
    shown = await asyncio.gather(
        run("jobs", "list", environ={**at(azure), "FORCE_COLOR": "1", "COLUMNS": "200"}),
        run("jobs", "list", "--json", environ=at(azure)),
        run("jobs", "show", "import", "x\x1b]0;owned\x07\u202e", environ=at(azure)),
    )
    assert [ended.code for ended in shown] == [0, 0, 0]
    for ended in shown:
        assert not set("\x07\u202e\r") & set(ended.out)
        assert "\x1b]" not in ended.out
    assert "x\\x1b]0;owned\\x07\\u202e" in shown[0].out
    assert "x\\u001b]0;owned\\u0007\\u202e" in shown[1].out


async def test_a_cancel_asks_first(azure: Azure) -> None:
    """At a terminal it says that nothing is rolled back, and sends nothing unless the answer is yes."""
    await start(azure)
    before = len(azure.arrived)
    declined = await at_terminal(azure, "cancel", ID, typed="n\n")
    assert (declined.code, declined.out) == (1, "")
    assert f"Cancel import job {ID}?" in declined.err
    assert "Nothing is rolled back" in declined.err
    assert declined.lines[-1].endswith("error: Nothing was sent.")
    assert len(azure.arrived) == before
    agreed = await at_terminal(azure, "cancel", "import", ID, typed="y\n")
    assert agreed.code == 0
    told = dict(re.split(r" {2,}", line.strip()) for line in agreed.out.splitlines())
    assert (told["import job"], told["status"]) == (ID, "cancelling")
    assert azure.arrived[-1].target == f"{PATH}/cancel?api-version={VERSION}"
    assert re.fullmatch("[0-9a-f]{32}", told["trace"])


async def test_a_cancel_without_a_terminal(azure: Azure) -> None:
    """A script says --yes; a deletion cannot be cancelled; of the answer no blob URI is shown."""
    await start(azure)
    failed(await run("jobs", "cancel", ID, environ=at(azure)), 2, "--yes")
    failed(await jobs(azure, "cancel", "deletion", ID), 2, "A deletion job cannot be cancelled")
    failed(await jobs(azure, "cancel", "j", "1/é"), 2, "in quotes")
    raw = await jobs(azure, "cancel", "import", ID, "--yes", "--json")
    assert (raw.code, json.loads(raw.out)["status"]) == (0, "cancelling")
    assert "canary" not in raw.out


async def test_a_cancel_that_is_refused(azure: Azure) -> None:
    """The code and the message of the error, the service's or the gateway's, and exit 1."""
    await start(azure)
    await finish(azure)
    failed(await jobs(azure, "cancel", "..", "-y"), 1, "GatewayRequestInvalid: ")
    raw = await jobs(azure, "cancel", ID, "-y", "--json")
    over = await jobs(azure, "cancel", ID, "-y")
    failed(over, 1, "ValidationFailed: The import job is succeeded and cannot be cancelled. (HTTP 400)")
    assert (raw.code, json.loads(raw.out)["error"]["code"]) == (1, "ValidationFailed")


async def test_a_gateway_with_keys(azure: Azure, tmp_path: Path) -> None:
    """Where callers need a key, it comes from a file or the configuration, and is never shown."""
    (tmp_path / "key").write_text(KEY)
    azure.change(cancel_seconds=3_600)
    await start(azure)
    async with gateway_to(azure.cloud, auth={"inbound": {"keys": {"operator": KEY}}}, **QUIET) as gateway:
        keyed = Azure(gateway, azure.cloud)
        without = await jobs(keyed, "cancel", ID, "-y")
        by_file = await jobs(keyed, "cancel", ID, "-y", "--key-file", str(tmp_path / "key"))
        configured = await jobs(keyed, "cancel", ID, "-y", ADT_GATEWAY_AUTH__INBOUND__KEYS__OPERATOR=KEY)
    failed(without, 1, "GatewayUnauthorized: ")
    assert (by_file.code, configured.code) == (0, 0)
    assert KEY not in str((without, by_file, configured))
    assert [line.get("caller") for line in gateway.exchanges()] == [None, "operator", "operator"]


async def test_a_gateway_on_a_unix_socket(azure: Azure, tmp_path: Path) -> None:
    """A cancel finds the gateway on its Unix socket, by configuration or by name."""
    azure.change(cancel_seconds=3_600)
    await start(azure)
    path = str(tmp_path / "s")
    async with gateway_to(azure.cloud, listen={"unix_socket": path}, **QUIET):
        configured = await jobs(azure, "cancel", ID, "-y", ADT_GATEWAY_LISTEN__UNIX_SOCKET=path)
        named = await jobs(azure, "cancel", ID, "-y", "--gateway", f"unix:{path}")
    assert [(ended.code, ended.err) for ended in (configured, named)] == [(0, ""), (0, "")]


async def test_from_another_address() -> None:
    """Whoever is no loopback peer needs `admin.token`, from the environment; without it that is said."""
    address = require_own_address()
    async with running_azure(fast(), admin={"host": ANY, "token": KEY}) as azure:
        url = f"http://{address}:{azure.gateway.admin.rpartition(':')[2]}"
        without = await jobs(azure, "list", "--admin", url)
        wrong = await jobs(azure, "list", "--admin", url, ADT_GATEWAY_ADMIN__TOKEN="x")
        right = await jobs(azure, "list", "--admin", url, ADT_GATEWAY_ADMIN__TOKEN=KEY)
    failed(without, 1, "with its admin.token: set ADT_GATEWAY_ADMIN__TOKEN")
    failed(wrong, 1, "does not take this admin.token")
    assert (right.code, right.out) == (0, "The gateway has not seen any job.\n")
