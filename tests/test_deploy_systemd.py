"""The systemd unit: checked by systemd's own tools, and run by a real systemd on a machine of its own."""

import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import Settings
from tests.support.commands import done, output, until
from tests.support.machine import Machine, booted, exposure
from tests.support.programs import require_program
from tests.support.rootfs import program_root, shared_place

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "deploy/systemd/adt-gateway.service"
EXAMPLE = ROOT / "deploy/systemd/config.toml"
MOST_EXPOSED = 1.1
"""The figure of the README: systemd's scale goes from 0 (safe) to 10."""
PROGRAM = "/opt/adt-gateway/bin/adt-gateway"
INSTALL = "apt-get install systemd"
ISSUER = "http://127.0.0.1:8090"
CONFIG = f"""
[upstream]
base_url = "{ISSUER}"
[auth]
mode = "oauth2"
[auth.oauth2]
token_url = "{ISSUER}/00000000-0000-0000-0000-000000000001/oauth2/v2.0/token"
client_id = "demo-app"
client_secret_file = "/run/credentials/adt-gateway.service/client-secret"
[limits]
drain_delay = 0
[jobs]
store = "sqlite:///var/lib/adt-gateway/jobs.db"
"""
EMULATOR = f"[Service]\nType=exec\nDynamicUser=yes\nExecStart={PROGRAM} emulator\n"
ASK = """
import sys, urllib.request
method, url, *body = sys.argv[1:]
data = body[0].encode() if body else None
request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
print(urllib.request.urlopen(request).read().decode())
"""
IMPORT = f'{{"inputBlobUri": "{ISSUER}/blob/a/in", "outputBlobUri": "{ISSUER}/blob/a/out"}}'
JOB = "http://127.0.0.1:8080/jobs/imports/one?api-version=2023-10-31"

__all__ = ["shared_place"]
"""A fixture."""


def settings_of(unit: str) -> dict[str, str]:
    """The unit's settings; the last of several wins."""
    return dict(line.split("=", 1) for line in unit.splitlines() if re.match(r"[A-Z]\w+=", line))


def test_the_unit_verifies(tmp_path: Path) -> None:
    """Systemd reads the unit without a complaint; only the program stands for another, which is here."""
    analyze = require_program("systemd-analyze", INSTALL)
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^(Exec\w+)=\S+", r"\1=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    ended = done([analyze, "verify", "--man=no", copy])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_mistake_in_the_unit_is_seen(tmp_path: Path) -> None:
    """The check above fails for a setting that does not exist."""
    analyze = require_program("systemd-analyze", INSTALL)
    wrong = tmp_path / UNIT.name
    wrong.write_text(UNIT.read_text().replace("ProtectHome=", "ProtectHomes=").replace(PROGRAM, "/bin/true"))
    assert "ProtectHomes" in done([analyze, "verify", "--man=no", wrong]).stderr


def test_the_unit_exposes_little() -> None:
    """Systemd's own judgement of the unit is as good as the README says, or better."""
    analyze = require_program("systemd-analyze", INSTALL)
    report = output([analyze, "security", "--no-pager", "--offline=true", UNIT])
    assert exposure(report) <= MOST_EXPOSED
    told = re.search(r"exposure of ([\d.]+)", (ROOT / "deploy/systemd/README.md").read_text())
    assert told is not None
    assert float(told[1]) == MOST_EXPOSED


def test_the_unit_waits_for_the_drain() -> None:
    """Systemd waits longer for the end than drain, store and spans take by default."""
    drain = Settings.model_validate({"upstream": {"base_url": ISSUER}}).limits.drain_timeout
    assert float(settings_of(UNIT.read_text())["TimeoutStopSec"]) >= drain + 4 + 1


def test_the_example_agrees_with_the_unit() -> None:
    """Secret and store of the example lie where the unit puts them."""
    example, unit = tomllib.loads(EXAMPLE.read_text()), settings_of(UNIT.read_text())
    name = unit["LoadCredential"].partition(":")[0]
    assert example["auth"]["entra"]["client_secret_file"] == f"/run/credentials/{UNIT.name}/{name}"
    assert example["jobs"]["store"] == f"sqlite:///var/lib/{unit['StateDirectory']}/jobs.db"
    assert f"--config /etc/adt-gateway/{EXAMPLE.name}" in unit["ExecStart"]


def test_the_example_is_valid(tmp_path: Path) -> None:
    """`check` takes the example, once the secret is there."""
    secret = tmp_path / "client-secret"
    secret.write_text("secret")
    config = tmp_path / "config.toml"
    config.write_text(re.sub(r'(?<=client_secret_file = )"[^"]+"', f'"{secret}"', EXAMPLE.read_text()))
    output([sys.executable, "-m", "gateway", "check", "--config", config])


@pytest.fixture
def machine(shared_place: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine with the unit, its configuration and its secret, and an emulator beside it."""
    root = program_root(shared_place, tmp_path / "root")
    etc = root.path / "etc"
    (etc / "adt-gateway").mkdir()
    (etc / "adt-gateway/config.toml").write_text(CONFIG)
    (etc / "adt-gateway/client-secret").write_text("demo-secret")
    (etc / "adt-gateway/client-secret").chmod(0o600)
    shutil.copy(UNIT, etc / "systemd/system")
    (etc / "systemd/system/emulator.service").write_text(EMULATOR)
    try:
        with booted(root) as running:
            yield running
    finally:
        shutil.rmtree(root.path)


def asked(machine: Machine, *request: str) -> str | None:
    """What a URL answers on that machine: method, URL and body; None where it is no success."""
    ended = machine.tried("/opt/adt-gateway/bin/python", "-c", ASK, *request)
    return ended.stdout if ended.returncode == 0 else None


def ready(machine: Machine) -> str | None:
    return asked(machine, "GET", "http://127.0.0.1:9464/readyz?verbose")


def job_failed(machine: Machine) -> bool:
    """Whether the gateway knows that the job of this test has ended; its input is not there, so it fails."""
    return '"failed"' in (asked(machine, "GET", "http://127.0.0.1:9464/api/jobs/import/one") or "")


@pytest.mark.slow
def test_a_real_systemd_runs_it(machine: Machine) -> None:
    """Under all restrictions it serves, comes back after `kill -9` with what it knew, and stops in order."""
    machine.run("systemctl", "start", "emulator", "adt-gateway")
    until(lambda: ready(machine))
    assert asked(machine, "PUT", JOB, IMPORT)
    until(lambda: job_failed(machine))

    exposition = asked(machine, "GET", "http://127.0.0.1:9464/metrics") or ""
    assert "adt_jobs_store_up 1.0" in exposition
    started = re.search(r"^process_start_time_seconds (\S+)", exposition, re.MULTILINE)
    assert started is not None
    assert abs(time.time() - float(started[1])) < 600, "the restrictions hide /proc/stat"

    was = machine.properties("adt-gateway", "MainPID", "NRestarts")
    machine.run("systemctl", "kill", "--signal=KILL", "adt-gateway")
    until(lambda: machine.properties("adt-gateway", "NRestarts")["NRestarts"] == "1")
    until(lambda: ready(machine))
    assert machine.properties("adt-gateway", "MainPID")["MainPID"] != was["MainPID"]
    assert job_failed(machine)

    machine.run("systemctl", "stop", "adt-gateway")
    ended = machine.properties("adt-gateway", "Result", "ExecMainStatus", "ActiveState")
    assert ended == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive"}
    assert "draining" in machine.journal("adt-gateway")
    assert "demo-secret" not in machine.journal("adt-gateway")


@pytest.mark.slow
def test_a_wrong_configuration_does_not_start(machine: Machine) -> None:
    """A mistake stands in the journal with its key, and nothing is started."""
    (machine.root / "etc/adt-gateway/config.toml").write_text("[listen]\nport = 70000\n")
    assert machine.tried("systemctl", "start", "adt-gateway").returncode != 0
    assert "listen.port" in machine.journal("adt-gateway")
    assert machine.properties("adt-gateway", "MainPID")["MainPID"] == "0"
