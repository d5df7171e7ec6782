"""`adt-gateway check --online` against an emulator, a token issuer and a scripted upstream."""

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
from tests.support.checking import PRINCIPAL, TENANT, check, check_text, entra_jwt, invoke, jwt, static
from tests.support.issuer import Issuer
from tests.support.otlp import otlp_receiver
from tests.support.process import GUARD, environment, run
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import until

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
    "listeners",
]


async def looked_at(upstream: FaultUpstream) -> None:
    """Wait until the upstream has noticed the connection that was only tried, and closed it."""

    async def accepted() -> bool:
        return upstream.connections > 0

    await until(accepted)
    await upstream.idle()


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


@pytest.mark.parametrize("secret", ["wrong", "canary-secret-canary"])
async def test_the_issuer_refuses(secret: str) -> None:
    """A wrong secret: what to check; the upstream is looked at all the same, but no request is sent to it."""
    async with Issuer() as issuer, fault_upstream() as upstream:
        oauth2 = {"token_url": issuer.url, "client_id": "me", "client_secret": secret}
        checked = await check(upstream.origin, auth={"mode": "oauth2", "oauth2": oauth2})
        await looked_at(upstream)
        assert upstream.requests == []
    assert (checked.code, checked.failed) == (1, ["token"])
    assert checked.steps["token"].message.endswith("does not accept the client's credentials.")
    assert "secret" in checked.steps["token"].advice
    assert checked.steps["connection"].outcome == "ok"
    assert checked.steps["request"].message == "there is no token to send"
    assert "canary" not in checked.text


async def test_the_issuer_cannot_be_reached() -> None:
    """An issuer that is down: exit 1, and where to look."""
    async with fault_upstream() as upstream:
        oauth2 = {"token_url": "http://127.0.0.1:1/token", "client_id": "me", "client_secret": "x"}
        checked = await check(upstream.origin, auth={"mode": "oauth2", "oauth2": oauth2})
        await looked_at(upstream)
    assert (checked.code, checked.failed) == (1, ["token"])
    assert "cannot be reached" in checked.steps["token"].message
    assert "issuer" in checked.steps["token"].advice


async def test_a_token_for_somebody_else() -> None:
    """An audience that is not ADT's: the 401 is explained by it, with what the challenge says."""
    async with running_azure() as azure:
        token = jwt(aud="https://graph.microsoft.com", tid="t")
        checked = await check(azure.cloud.url, auth=static(token))
    request = checked.steps["request"]
    assert (checked.code, checked.failed) == (1, ["request"])
    assert "answered 401 Unauthorized" in request.message
    assert any(line.startswith("WWW-Authenticate: invalid_token: ") for line in request.details)
    assert "The token is for https://graph.microsoft.com" in request.advice
    assert "auth.scope" in request.advice
    assert token not in checked.text


SUB_DOMAIN = b'{"statusCode":404,"message":"Sub-domain not found."}'
HTML = b"<!doctype html><title>Sign in</title><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("status", "body", "message", "advice"),
    [
        (401, b"", "answered 401", f"its tenant ({TENANT}) may not be that of the instance"),
        (403, b"", "answered 403", f"The identity (object id {PRINCIPAL}) has no role"),
        (404, SUB_DOMAIN, "answered 404", "check the host in upstream.base_url (Azure portal, Overview) and"),
        (404, b'{"error":{"code":"X","message":"m"}}', "answered 404", "has no event routes"),
        (407, b"", "answered 407", "upstream.proxy"),
        (500, b"", "answered 500", "service health"),
        (503, HTML, "is an HTML page", "a proxy or a login page"),
        (418, b"", "answered 418", "does not answer like that"),
        (200, HTML, "is an HTML page", "upstream.base_url"),
        (200, b"hello", "is no JSON", "upstream.base_url"),
        (200, b'{"value": {}}', "is JSON that is no list of event routes", "upstream.base_url"),
        (200, b"[" * 60_000, "is no JSON", "upstream.base_url"),
        (204, b"", "is no list of event routes", "upstream.base_url"),
        (999, b"", "answered 999", "service health"),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_answers(status: int, body: bytes, message: str, advice: str) -> None:
    """Each answer that is not a list of event routes: what it means, what to do; no markup."""
    async with fault_upstream(faults.reply(status, body)) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
    request = checked.steps["request"]
    assert (checked.code, checked.failed) == (1, ["request"])
    assert message in request.message
    assert advice in request.advice
    assert "<script" not in checked.text


async def test_throttled() -> None:
    """A 429 proves that host, token and role are right: a warning, exit 0."""
    async with fault_upstream(faults.reply(429)) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
    assert (checked.code, checked.steps["request"].outcome) == (0, "warning")


async def test_redirects_are_not_followed() -> None:
    """An upstream that redirects elsewhere: named, and nothing is sent there."""
    async with fault_upstream() as elsewhere:
        location = [(b"Location", f"{elsewhere.origin}/login".encode())]
        async with fault_upstream(faults.reply(302, b"", location)) as upstream:
            checked = await check(upstream.origin, auth=static(ADT_TOKEN))
        assert (len(upstream.requests), elsewhere.connections) == (1, 0)
    assert "redirects to 127.0.0.1" in checked.steps["request"].message


@pytest.mark.parametrize("name", sorted(faults.NO_RESPONSES))
async def test_no_http(name: str) -> None:
    """What cannot be taken for an answer: said so, within bounds."""
    async with fault_upstream(faults.cut(faults.NO_RESPONSES[name])) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
    assert checked.failed == ["request"]


async def test_cut_and_silent() -> None:
    """A connection that breaks, and an upstream that says nothing: two different words for it."""
    async with fault_upstream(faults.cut(reset=True)) as upstream:
        cut = await check(upstream.origin, auth=static(ADT_TOKEN))
    assert "broke before an answer came" in cut.steps["request"].message
    async with fault_upstream(faults.never()) as upstream:
        slow = {"base_url": upstream.origin, "timeout": {"first_byte": 0.2}}
        silent = await check(upstream.origin, auth=static(ADT_TOKEN), upstream=slow)
    assert "did not answer within 0.2 s" in silent.steps["request"].message


async def test_a_body_without_end() -> None:
    """A body of 50 MiB is read to 64 KiB and no further."""
    download = faults.Download(50 * 1024 * 1024)
    async with fault_upstream(download) as upstream:
        checked = await check(upstream.origin, auth=static(ADT_TOKEN))
        await upstream.idle()
    assert checked.failed == ["request"]
    assert download.sent < 16 * 1024 * 1024


@pytest.mark.parametrize("token", [ADT_TOKEN, "an-opaque-token-of-some-issuer"], ids=["jwt", "opaque"])
async def test_an_answer_that_says_the_token_again(token: str) -> None:
    """Neither it nor another's token appears, in message or challenge; control characters are escaped."""
    another = entra_jwt(oid="another")
    body = json.dumps({"error": {"code": "X", "message": f"\x1b]0;owned\x07 {token} {another}"}}).encode()
    challenge = f'Bearer error="invalid_token", error_description="no {token}"'.encode()
    behaviour = faults.reply(401, body, [*JSON, (b"WWW-Authenticate", challenge)])
    async with fault_upstream(behaviour) as upstream:
        seen = await check_text(upstream.origin, auth=static(token))
        told = await check(upstream.origin, auth=static(token))
    for secret in (token[:40], another[-60:]):
        assert secret not in seen.out + told.text
    assert not set("\x1b\x07") & set(seen.out)
    assert "\\x1b]0;owned\\x07" in seen.out


async def test_the_clock() -> None:
    """A clock that is off by more than five minutes is warned of; no date, or a strange one,
    is no failure.
    """
    dates = {b"Tue, 15 Nov 1994 08:12:31 GMT": "warning", b"nonsense": "skipped", b"": "skipped"}
    for date, outcome in dates.items():
        behaviour = faults.reply(200, EVENT_ROUTES, [*JSON, (b"Date", date)])
        async with fault_upstream(behaviour) as upstream:
            checked = await check(upstream.origin, auth=static(ADT_TOKEN))
        assert (checked.code, checked.steps["clock"].outcome) == (0, outcome)


async def test_modes_without_a_token() -> None:
    """Modes none and passthrough say what is not checked; a 401 is right for the one and wrong
    for the other.
    """
    async with running_azure() as azure:
        passed = await check(azure.cloud.url, auth={"mode": "passthrough"})
        none = await check(azure.cloud.url, auth={"mode": "none"})
    assert passed.code == 0
    assert "neither it nor its role is checked" in passed.steps["token"].message
    assert "wants a token, which the app sends" in passed.steps["request"].message
    assert (none.code, none.failed) == (1, ["request"])
    assert "none is checked" in none.steps["token"].message
    async with fault_upstream(faults.reply(200, EVENT_ROUTES)) as upstream:
        open_ = await check(upstream.origin, auth={"mode": "none"})
        assert upstream.last.values(b"authorization") == []
    assert open_.code == 0


async def test_traces() -> None:
    """A collector gets an export without spans; one that refuses or is not there is a warning,
    not a failure.
    """
    async with fault_upstream(faults.reply(200, EVENT_ROUTES)) as upstream, otlp_receiver() as collector:
        good = await check(upstream.origin, auth={"mode": "none"}, tracing={"endpoint": collector.url})
        assert [(request.path, request.spans) for request in collector.requests] == [("/v1/traces", ())]
        await collector.release(status=403)
        variable = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url.removesuffix("/v1/traces")}
        refused = await check(upstream.origin, variable, auth={"mode": "none"})
        nobody = {"endpoint": "http://127.0.0.1:1/v1/traces?key=canary"}
        limit = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.2"}
        gone = await check(upstream.origin, limit, auth={"mode": "none"}, tracing=nobody)
    assert good.steps["traces"].message.endswith(" takes spans")
    assert (good.code, refused.code, gone.code) == (0, 0, 0)
    assert "403" in refused.steps["traces"].message
    assert gone.steps["traces"].outcome == "warning"
    assert "canary" not in gone.text


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
            # Its data port is another's, so nobody can tell whose this one is.
            taken = await check(azure.cloud.url, auth=auth, listen={"port": other.address[1]})
    assert checked.code == 0
    assert checked.steps["listeners"].details == [
        f"data 127.0.0.1:{data}: in use by a running gateway",
        f"admin 127.0.0.1:{admin}: in use by a running gateway",
    ]
    assert taken.steps["listeners"].details[0].endswith(": in use")


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
