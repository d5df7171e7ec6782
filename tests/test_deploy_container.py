"""The Dockerfile and what belongs to it, as text; and the health check."""

import re
import socket
import sys
import tomllib
from pathlib import Path

from tests.support.commands import done
from tests.support.dockerfile import Instruction, ignored, instructions

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
STEPS = instructions(DOCKERFILE.read_text())


def last_stage() -> list[Instruction]:
    start = max(index for index, step in enumerate(STEPS) if step.keyword == "FROM")
    return STEPS[start:]


def only(keyword: str) -> str:
    [found] = [step.rest for step in last_stage() if step.keyword == keyword]
    return found


def test_hadolint_has_nothing_to_say() -> None:
    """The Dockerfile passes its linter without an exception."""
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = done([hadolint, "--no-color", DOCKERFILE])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "hadolint" not in DOCKERFILE.read_text()


def test_the_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    """User, signal, ports and the commands are what manifests rely on; each command is in exec form."""
    assert only("USER") == "65532:65532"
    assert only("STOPSIGNAL") == "SIGTERM"
    assert only("EXPOSE") == "8080 9464"
    assert only("ENTRYPOINT") == '["adt-gateway"]'
    assert only("CMD") == '["serve"]'
    assert "CMD [" in only("HEALTHCHECK")


def test_the_base_is_pinned_to_a_patch_version() -> None:
    """Both stages begin with one image whose tag names version and release of the distribution."""
    base = next(step.rest for step in STEPS if step.keyword == "ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", base)
    stages = [step.rest.partition(" ")[0] for step in STEPS if step.keyword == "FROM"]
    assert stages == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_everything_that_is_installed_has_a_hash() -> None:
    """Pip takes wheels with known hashes, or nothing from an index at all."""
    installs = re.findall(r"-m pip [^&]*", " && ".join(step.rest for step in STEPS if step.keyword == "RUN"))
    assert installs
    for command in installs:
        assert "--no-index" in command or {"--require-hashes", "--only-binary"} <= set(command.split())


def test_the_build_lock_fits_the_project() -> None:
    """What builds the wheel is locked, and is what the project says builds it."""
    [wanted] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    name, _, floor = wanted.partition(">=")
    locked = re.findall(
        r"^([\w-]+)==([\w.]+) ", (ROOT / "deploy/docker/build.lock").read_text(), re.MULTILINE
    )
    version = dict(locked)[name]
    assert [int(part) for part in version.split(".")] >= [int(part) for part in floor.split(".")]


def test_only_what_is_needed_goes_into_the_build() -> None:
    """The build context has the files that are copied, and neither secrets, tests nor history."""
    rules = (ROOT / ".dockerignore").read_text()
    for kept in ("pyproject.toml", "requirements.lock", "gateway/app.py", "deploy/docker/build.lock"):
        assert not ignored(rules, kept)
    out = (
        ".git/config .env .venv/bin/python tests/conftest.py gateway/__pycache__/x.pyc deploy/compose/app.py"
    )
    for left in out.split():
        assert ignored(rules, left)


def health(url_or_nothing: list[str], environ: dict[str, str]) -> int:
    """The exit code of the health check, run here."""
    script = ROOT / "deploy/docker/healthcheck.py"
    command: list[str | Path] = [sys.executable, script, *url_or_nothing]
    return done(command, environ).returncode


def test_what_does_not_answer_is_not_healthy() -> None:
    """The health check fails where nothing listens, on the address that the environment names."""
    with socket.socket() as probe:  # bound, but it does not listen
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    assert health([f"http://127.0.0.1:{port}/livez"], {}) == 1
    assert health([], {"ADT_GATEWAY_ADMIN__PORT": port, "ADT_GATEWAY_ADMIN__HOST": "0.0.0.0"}) == 1  # noqa: S104 - what it is told
