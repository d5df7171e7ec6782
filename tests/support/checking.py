"""`adt-gateway check` in this process, and what its steps found."""

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from gateway.cli.commands import app
from gateway.config import Settings
from gateway.config.keys import CATALOGUE, DELIMITER, PREFIX
from tests.support.process import Ended

PRINCIPAL = "5d1b9a3e-0000-0000-0000-00000000000b"
TENANT = "5d1b9a3e-0000-0000-0000-00000000000a"


@dataclass(frozen=True, slots=True)
class Found:
    """One step."""

    outcome: str
    message: str
    details: list[str]
    advice: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A run with `--json`: its exit code, and the steps by name, in their order."""

    code: int
    steps: dict[str, Found]
    text: str
    """All that was written."""

    @property
    def failed(self) -> list[str]:
        """Names of the steps that failed."""
        return [name for name, step in self.steps.items() if step.outcome == "failed"]


def jwt(**claims: Any) -> str:
    """A token that says so; nobody has signed it."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"


def entra_jwt(audience: str = "https://digitaltwins.azure.net", **claims: Any) -> str:
    """A token as Entra makes them."""
    return jwt(**{"aud": audience, "tid": TENANT, "appid": "the-app", "oid": PRINCIPAL, **claims})


def variables(sections: Mapping[str, Any]) -> dict[str, str]:
    """Settings as the environment has them."""
    found = {}
    for key in CATALOGUE.keys.values():
        value: Any = sections
        for name in key.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None:
            found[PREFIX + DELIMITER.join(key.path).upper()] = str(value)
    return found


def invoke(*arguments: str, **environ: str) -> Ended:
    """Run `adt-gateway` with these arguments, not at a terminal, with no more configuration than is given."""
    kept = {name: None for name in os.environ if name.startswith(("ADT_GATEWAY_", "AZURE_", "OTEL_"))}
    ended = CliRunner().invoke(app, arguments, env={**kept, "COLUMNS": "80", **environ})
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


async def check_text(upstream: str, /, environ: Mapping[str, str] | None = None, **sections: Any) -> Ended:
    """`check --online` as people see it; ports are free ones unless given."""
    return await asyncio.to_thread(invoke, "check", "--online", **_environ(upstream, environ, sections))


async def check(upstream: str, /, environ: Mapping[str, str] | None = None, **sections: Any) -> Checked:
    """`check --online --json`; ports are free ones unless given."""
    variables_ = _environ(upstream, environ, sections)
    ended = await asyncio.to_thread(invoke, "check", "--online", "--json", **variables_)
    document = json.loads(ended.out)
    names = ("outcome", "message", "details", "advice")
    steps = {step["name"]: Found(*(step[name] for name in names)) for step in document["steps"]}
    checked = Checked(ended.code, steps, ended.out + ended.err)
    assert document["ok"] == (ended.code == 0)
    assert (ended.code == 1) == bool(checked.failed)
    for step in steps.values():
        # Whatever does not work comes with what to do about it.
        assert bool(step.advice) == (step.outcome in {"failed", "warning"})
    return checked


def _environ(upstream: str, environ: Mapping[str, str] | None, sections: Mapping[str, Any]) -> dict[str, str]:
    free = {"ADT_GATEWAY_LISTEN__PORT": "0", "ADT_GATEWAY_ADMIN__PORT": "0"}
    base = {"ADT_GATEWAY_UPSTREAM__BASE_URL": upstream}
    return {**free, **base, **variables(sections), **(environ or {})}


def static(token: str) -> dict[str, Any]:
    """The `auth` section of a gateway with this token."""
    return {"mode": "static", "static": {"token": token}}


def settings(**sections: Any) -> Settings:
    """Settings without a look at any file."""
    return Settings.model_validate({"upstream": {"base_url": "http://127.0.0.1:1"}, **sections})
