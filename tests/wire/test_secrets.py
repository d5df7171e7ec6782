"""Canaries for every secret the gateway sees, over whole sessions with debug logging: found nowhere.

Every secret below has `canary` in it. It is looked for, with the tokens that were in use, in the log, the
spans, every page of the admin listener, every error body and header, and in what the process wrote.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from tests.support.azure import Azure, fast, http_client, running_azure
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.otlp import otlp_receiver

SECRET = "canary-client-secret/+ xyz"
INBOUND = "canary-inbound-key"
ADMIN = "canary-admin-token"
SAS = "?sv=2023-11-03&sig=canary%2Bsignature%3D"
QUERY = {"api-version": "2023-10-31", "sig": "canary-sig", "token": "canary-token"}
SHOWN = {"x-gateway-key": INBOUND, "authorization": "Bearer canary-of-the-app", "cookie": "canary=1"}
BASIC = base64.b64encode(f"demo-app:{quote_plus(SECRET)}".encode()).decode()
TOKEN_PATH = "/00000000-0000-0000-0000-000000000001/oauth2/"
PAGES = (
    "/",
    "/metrics",
    "/readyz?verbose",
    "/livez",
    "/api/status",
    "/api/jobs",
    "/api/jobs/import/good",
    "/no",
)
ECHO = '{"error": "invalid_scope", "error_description": "canary: the secret ' + SECRET + ' is wrong"}'


class Told:
    """Everything that anybody could read, by where it stood."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.secrets = {"canary", BASIC, base64.b64encode(SECRET.encode()).decode()}

    def add(self, where: str, what: object) -> None:
        self.texts.append((where, str(what)))

    def error(self, answer: httpx.Response) -> int:
        """An answer that is not the upstream's own: its status."""
        where = f"{answer.request.method} {answer.request.url.path} {answer.status_code}"
        self.add(where, f"{answer.headers.multi_items()} {answer.text}")
        return answer.status_code

    def log(self, gateway: RunningGateway) -> None:
        """Every line, but those that the test's own client writes about its requests to the gateway."""
        lines = gateway.log.getvalue().splitlines()
        own = [line for line in lines if '"logger":"httpx"' in line and gateway.data in line]
        told = [line for line in lines if line not in own]
        assert any('"event":"exchange"' in line for line in told)
        self.add("log", told)

    async def pages(self, gateway_admin: str) -> None:
        """Every page of the admin listener, in both formats, with and without its token."""
        credentials: tuple[dict[str, str], ...] = (
            {},
            {"authorization": f"Bearer {ADMIN}"},
            {"accept": "application/openmetrics-text"},
        )
        async with http_client(gateway_admin, params={}) as operator:
            for headers in credentials:
                for page in PAGES:
                    self.error(await operator.get(page, headers=headers))

    def tokens_of(self, azure: Azure) -> None:
        """Look for the gateway's tokens too, whole and in parts; nothing else was sent upstream."""
        for entry in azure.arrived:
            [line] = [value for name, value in entry.headers if name.lower() == "authorization"]
            token = line.removeprefix("Bearer ")
            self.secrets |= {token, *token.split(".")[1:]}
            assert "canary" not in str([pair for pair in entry.headers if pair[0].lower() != "cookie"])

    def check(self, capture: pytest.CaptureFixture[str]) -> None:
        """No secret is in any text."""
        self.add("stdout and stderr", "".join(capture.readouterr()))
        found = {secret: [where for where, text in self.texts if secret in text] for secret in self.secrets}
        assert {secret: places for secret, places in found.items() if places} == {}


@pytest.fixture
def auth(tmp_path: Path) -> dict[str, Any]:
    """Secrets from files, as in production; callers need a key."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "key").write_text(f"{INBOUND}\n")
    oauth2 = {"client_secret": None, "client_secret_file": str(tmp_path / "secret")}
    return {"oauth2": oauth2, "inbound": {"key_files": {"app": str(tmp_path / "key")}}}


@asynccontextmanager
async def session(told: Told, settings: Any, auth: dict[str, Any]) -> AsyncIterator[Azure]:
    """A gateway with debug logging and tracing; what it logged and traced is told at its end."""
    async with otlp_receiver() as receiver:
        sections = {
            "log": {"level": "debug"},
            "admin": {"token": ADMIN},
            "tracing": {"endpoint": receiver.url},
        }
        async with running_azure(settings, auth=auth, **sections) as azure:
            yield azure
        assert len(receiver.spans) > 1
        told.log(azure.gateway)
        told.add("spans", receiver.spans)


async def jobs_with_a_sas(azure: Azure, app: httpx.AsyncClient) -> None:
    for name, sample in (("good", "campus.ndjson"), ("bad", "broken-model.ndjson")):
        body = azure.import_body(sample, sas=SAS)
        assert (await app.put(f"/jobs/imports/{name}", json=body)).status_code == 201
        while (await app.get(f"/jobs/imports/{name}")).json()["status"] not in {"succeeded", "failed"}:
            continue
    assert (await app.get("/jobs/imports")).status_code == 200


async def errors_of_the_upstream(azure: Azure, app: httpx.AsyncClient, told: Told) -> None:
    assert told.error(await app.get("/digitaltwins/nobody")) == 404
    for kind in ("html-502", "oauth-error", "sub-domain-not-found", "truncated-json", "claims-challenge"):
        azure.wrong(kind=kind, path="/models", times=2)
        assert told.error(await app.get("/models")) >= 400
        azure.mend()


async def errors_of_the_gateway(azure: Azure, app: httpx.AsyncClient, told: Told) -> None:
    wrong = {"x-gateway-key": "canary-of-nobody", "authorization": "Bearer canary-of-nobody"}
    assert told.error(await app.get("/models", headers=wrong)) == 401
    assert told.error(await app.get("/models", headers={"host": "elsewhere.example"})) == 421
    assert told.error(await app.request("TRACE", "/models")) == 405
    assert told.error(await app.get("/models/%00")) == 400
    for fault in ({"cut": "reset"}, {"cut": "before-head"}, {"headers": [("Transfer-Encoding", "canary")]}):
        azure.wrong(path="/query", **fault)
        assert told.error(await app.post("/query", json={"query": "canary"})) == 502
        azure.mend()


@pytest.mark.parametrize("authentication", ["post", "basic"])
async def test_a_session_of_success_and_failure(
    auth: dict[str, Any], authentication: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Jobs with a SAS, errors of both origins and refused callers tell no secret to anybody."""
    told = Told()
    auth["oauth2"]["authentication"] = authentication
    async with session(told, fast(client_secret=SECRET), auth) as azure:
        async with azure.app(params=QUERY, headers=SHOWN) as app:
            await jobs_with_a_sas(azure, app)
            await errors_of_the_upstream(azure, app, told)
            await errors_of_the_gateway(azure, app, told)
        await told.pages(azure.gateway.admin)
        told.tokens_of(azure)
    told.check(capfd)


@pytest.mark.parametrize("authentication", ["post", "basic"])
async def test_a_session_without_a_token(
    auth: dict[str, Any], authentication: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An issuer that refuses the secret and echoes it gets no further than the gateway."""
    told = Told()
    auth["oauth2"]["authentication"] = authentication
    async with session(told, fast(), auth) as azure:
        azure.wrong(path=TOKEN_PATH, status=400, body=ECHO, times=None)
        async with azure.app(params=QUERY, headers=SHOWN) as app:
            for _ in range(3):
                assert told.error(await app.get("/models")) == 503
        await told.pages(azure.gateway.admin)
        assert azure.arrived == []
    told.check(capfd)


async def test_an_upstream_that_is_away(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A refused connection is told without the token that would have been sent."""
    told = Told()
    (tmp_path / "token").write_text("canary-file-token")
    auth = {"mode": "file", "file": {"path": str(tmp_path / "token")}}
    async with running_gateway("http://127.0.0.1:9", auth=auth, log={"level": "debug"}) as gateway:
        async with http_client(gateway.data, params=QUERY, headers=SHOWN) as app:
            assert told.error(await app.get("/models")) == 503
            assert told.error(await app.post("/jobs/deletions")) == 503
        await told.pages(gateway.admin)
    told.log(gateway)
    told.check(capfd)
