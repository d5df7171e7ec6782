"""The online check's look at this machine: files in use, and the gateway's own listeners."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.certificates import prepare, read_sheet
from gateway.online import (
    Finding,
    Outcome,
    look_at_files,
    look_at_listeners,
)
from tests.support.checking import jwt, settings


def looked(environ: dict[str, str] | None = None, **sections: Any) -> Finding:
    """What is found of the files that these settings name."""
    return look_at_files(settings(**sections), environ or {}, read_sheet, time.time())


def test_no_files() -> None:
    """A configuration that names no file: skipped; another mode's files do not count."""
    assert looked().outcome is Outcome.SKIPPED
    unused = {"mode": "static", "static": {"token": "t"}, "oauth2": {"client_secret_file": "/nowhere"}}
    assert looked(auth=unused).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(("days", "outcome"), [(20, Outcome.OK), (10, Outcome.WARNING)])
def test_the_listeners_certificate(tmp_path: Path, days: int, outcome: Outcome) -> None:
    """Until when the listener's certificate is good is told, and warned of two weeks before."""
    now = dt.datetime.now(dt.UTC)
    made = prepare(tmp_path, (), days=days, renew=False, client=None, now=now)
    tls = {"certificate_file": made.files.certificate, "key_file": made.files.key}
    finding = looked(listen={"tls": tls})
    assert finding.outcome is outcome
    assert f": good until {now + dt.timedelta(days=days):%Y-%m-%d}" in finding.details[0]
    assert finding.details[1] == f"listen.tls.key_file: {made.files.key}"


def test_the_platforms_files(tmp_path: Path) -> None:
    """Files that AZURE_* variables name: one that cannot be read, and a token that has ended,
    are warned of.
    """
    token = tmp_path / "token"
    variable = {"AZURE_FEDERATED_TOKEN_FILE": str(token)}
    missing = looked(variable)
    assert missing.outcome is Outcome.WARNING
    assert missing.details[0].endswith(": the file cannot be read: No such file or directory")
    token.write_text(jwt(exp=time.time() - 60))
    assert ": ended " in looked(variable).details[0]
    token.write_text(jwt(exp=time.time() + 60))
    assert looked(variable).outcome is Outcome.OK
    token.write_text("opaque")
    assert looked(variable).details == (f"AZURE_FEDERATED_TOKEN_FILE: {token}",)
    assert looked(variable, auth={"entra": {"credential": "cli"}}).outcome is Outcome.SKIPPED


async def test_ports(tmp_path: Path) -> None:
    """Free ports, ones taken at start, a socket that is there or cannot be looked at, another's address."""
    free = await look_at_listeners(settings(listen={"port": 0}, admin={"port": 0}))
    assert free.details == (
        "data 127.0.0.1:0: a free port, taken at start",
        "admin 127.0.0.1:0: a free port, taken at start",
    )
    socket = tmp_path / "gateway.sock"
    away = {"host": "192.0.2.1", "port": 9_464}
    before = await look_at_listeners(settings(listen={"unix_socket": socket}, admin=away))
    socket.touch()
    after = await look_at_listeners(settings(listen={"unix_socket": socket}, admin=away))
    assert (before.details[0], after.details[0]) == (f"data {socket}: free", f"data {socket}: in use")
    nobody = await look_at_listeners(settings(listen={"unix_socket": tmp_path / ("x" * 300)}, admin=away))
    assert nobody.details[0].endswith(": cannot be looked at: File name too long")
    assert before.details[1] == "admin 192.0.2.1:9464: cannot be had: Cannot assign requested address"
