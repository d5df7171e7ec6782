"""`adt-gateway check --online` as a whole: its steps, what people see, the process."""

import asyncio
import json
import os
import pty
import re
import signal
import sys

import pytest

from tests.support import faults
from tests.support.azure import auth_for, fast, gateway_to, running_azure
from tests.support.checking import check, check_text, entra_jwt, invoke
from tests.support.issuer import Issuer
from tests.support.process import GUARD, environment, run
from tests.support.upstream import fault_upstream

EVENT_ROUTES = b'{"value": [], "nextLink": null}'

JSON = [(b"Content-Type", b"application/json")]

ADT_TOKEN = entra_jwt()

STEPS = [
    "configuration",
    "files",
    "token",
    "name",
    "connection",
    "tls",
    "request",
    "clock",
    "traces",
    "fleet",
    "listeners",
]


async def test_all_is_well() -> None:
    """With a token and an instance that takes it: every step in order, exit 0, one read of routes."""
    async with running_azure() as azure:
        before = len(azure.arrived)
        auth = auth_for(azure.cloud.url, azure.cloud.emulator.state.settings)
        checked = await check(azure.cloud.url, auth=auth)
        arrived = azure.arrived[before:]
    assert (checked.code, list(checked.steps)) == (0, STEPS)
    outcomes = {name: step.outcome for name, step in checked.steps.items()}
    assert set(outcomes.values()) == {"ok", "skipped", "note"}
    assert outcomes["request"] == outcomes["token"] == outcomes["connection"] == outcomes["clock"] == "ok"
    assert checked.steps["token"].message.startswith("source oauth2: a token valid for 60 min, until ")
    assert "audience: https://digitaltwins.azure.net" in checked.steps["token"].details
    assert checked.steps["request"].message.startswith("GET /eventroutes answered 200 in ")
    [request] = arrived
    assert request.route == "GET /eventroutes"
    [bearer] = [value for name, value in request.headers if name.lower() == "authorization"]
    assert bearer.partition(" ")[2] not in checked.text


async def test_what_people_see() -> None:
    """One line for each step with outcome, name and time; details and advice below it; a last
    line sums up.
    """
    async with Issuer() as issuer, fault_upstream(faults.reply(403)) as upstream:
        oauth2 = {"token_url": issuer.url, "client_id": "me", "client_secret": "right-secret"}
        ended = await check_text(upstream.origin, auth={"mode": "oauth2", "oauth2": oauth2})
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (1, "")
    assert [line.split()[1] for line in lines if line[:1].strip()][: len(STEPS)] == STEPS
    assert lines[-2:] == ["", "Failed: request."]
    shown = next(line for line in lines if line.startswith("failed   request        "))
    assert f"{upstream.origin.removeprefix('http://')} answered 403 Forbidden" in shown
    assert any(line.startswith(" " * 24 + "What to do: The identity has no role") for line in lines)


async def test_only_the_configuration() -> None:
    """Without --online nothing is asked, --json says the same as text; a bad one: exit 2, its problems."""
    good = {"ADT_GATEWAY_UPSTREAM__BASE_URL": "https://nope.invalid", "ADT_GATEWAY_AUTH__MODE": "none"}
    plain, told = invoke("check", **good), invoke("check", "--json", **good)
    assert plain.out == "The configuration is valid: https://nope.invalid, auth.mode none.\n"
    [step] = json.loads(told.out)["steps"]
    assert (told.code, step["name"], step["outcome"]) == (0, "configuration", "ok")
    bad = {**good, "ADT_GATEWAY_LISTEN__PORT": "many"}
    told = invoke("check", "--json", "--online", **bad)
    document = json.loads(told.out)
    assert (told.code, document["ok"]) == (2, False)
    assert document["steps"][0]["details"] == [told.lines[0].removeprefix("error: ")]
    plain = invoke("check", "--online", **bad)
    assert (plain.code, plain.out, plain.lines) == (2, "", told.lines)


async def test_tracing_that_serve_would_refuse() -> None:
    """A file that an OTEL_* variable names and that is not there: exit 2, as with serve."""
    variable = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem",
        "ADT_GATEWAY_TRACING__ENDPOINT": "http://127.0.0.1:1/v1/traces",
    }
    ended = await check_text("http://127.0.0.1:1", variable, auth={"mode": "none"})
    assert ended.out == ""
    assert (ended.code, ended.lines) == (
        2,
        ["error: OTEL_EXPORTER_OTLP_CERTIFICATE: no such file: /nowhere/ca.pem"],
    )


async def test_beside_a_running_gateway() -> None:
    """The ports of a gateway that runs are in use by it, which is no failure; its jobs API is left alone."""
    async with running_azure(fast()) as azure:
        data, admin = (url.rpartition(":")[2] for url in (azure.gateway.data, azure.gateway.admin))
        auth = auth_for(azure.cloud.url, azure.cloud.emulator.state.settings)
        checked = await check(azure.cloud.url, auth=auth, listen={"port": data}, admin={"port": admin})
        assert {entry.route for entry in azure.arrived} == {"GET /eventroutes"}
        async with gateway_to(azure.cloud) as other:
            other_port = {"port": other.address[1]}
            taken = await check(azure.cloud.url, auth=auth, listen=other_port, admin={"port": admin})
        async with fault_upstream() as stranger:
            foreign = await check(
                azure.cloud.url, auth=auth, listen={"port": stranger.port}, admin={"port": admin}
            )
    assert checked.code == 0
    assert checked.steps["listeners"].details == [
        f"data 127.0.0.1:{data}: in use by a running gateway",
        f"admin 127.0.0.1:{admin}: in use by a running gateway",
    ]
    assert taken.steps["listeners"].details[0].endswith(": in use by a running gateway")
    assert foreign.steps["listeners"].details == [
        f"data 127.0.0.1:{stranger.port}: in use by another program",
        f"admin 127.0.0.1:{admin}: in use by a running gateway",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
async def test_ctrl_c() -> None:
    """Ctrl-C while the upstream is silent: one word, 130 as shells have it, no traceback."""
    async with fault_upstream(faults.never()) as upstream:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "check", "--online"),
            env=environment(
                {"ADT_GATEWAY_UPSTREAM__BASE_URL": upstream.origin, "ADT_GATEWAY_AUTH__MODE": "none"}
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await upstream.received(1)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(GUARD):
            out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (130, "Stopped.\n")
    assert b"connection" in out


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
async def test_at_a_terminal() -> None:
    """At a terminal the steps are shown as they end, and long lines are folded below their beginning."""
    ours, its = pty.openpty()
    environ = {"ADT_GATEWAY_UPSTREAM__BASE_URL": "http://127.0.0.1:1", "ADT_GATEWAY_AUTH__MODE": "none"}
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "check", "--online"),
            env=environment({**environ, "TERM": "xterm", "COLUMNS": "72"}),
            stdin=its,
            stdout=its,
            stderr=its,
        )
        async with asyncio.timeout(GUARD):
            await process.wait()
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(its)
        os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert process.returncode == 1
    assert "failed   connection" in plain
    # What stands before a carriage return was overwritten.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n")]
    [advice] = [number for number, line in enumerate(lines) if "What to do: " in line]
    assert len(lines[advice]) <= 72
    assert lines[advice + 1].startswith(" " * 24 + "and port in upstream.base_url.")


async def test_as_a_process() -> None:
    """The real program, with HTTP_PROXY set: exit 0, and nothing goes to that proxy."""
    async with fault_upstream(faults.reply(200, EVENT_ROUTES)) as upstream, fault_upstream() as proxy:
        environ = {
            "ADT_GATEWAY_UPSTREAM__BASE_URL": upstream.origin,
            "ADT_GATEWAY_AUTH__MODE": "static",
            "ADT_GATEWAY_AUTH__STATIC__TOKEN": ADT_TOKEN,
            "HTTP_PROXY": proxy.origin,
            "ALL_PROXY": proxy.origin,
        }
        ended = await run("check", "--online", environ=environ)
        assert proxy.connections == 0
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("\nNothing failed.\n")
