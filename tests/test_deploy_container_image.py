"""The container image: the Dockerfile's steps on a clean root file system, and what comes out of them."""

import hashlib
import os
import re
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway._version import __version__
from tests.support.commands import child_of, done, output, running, until
from tests.support.dockerfile import Build, Image, context
from tests.support.rootfs import BOUND_TO_PARENT, Root, index_access, pairs, python_root, shared_place

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
STORE = "/var/lib/adt-gateway"
CONFINED = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups")
SHELLS = ("sh", "bash", "dash", "rbash")

__all__ = ["shared_place"]
"""A fixture."""


@pytest.fixture(scope="module")
def images(shared_place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Image, Image]]:
    """The Dockerfile, carried out twice on a clean root."""
    base, access = index_access(python_root(shared_place))
    scratch = tmp_path_factory.mktemp("container")
    files = context(ROOT, scratch / "context")

    def built(name: str) -> Image:
        place = scratch / name
        place.mkdir()
        image = Build(DOCKERFILE.read_text(), base, files, place, access).run()
        # What leads to the package index is no part of the image.
        image.root = Root(image.root.path)
        return image

    try:
        with ThreadPoolExecutor(2) as builders:
            first, second = builders.map(built, ("first", "second"))
        yield first, second
    finally:
        shutil.rmtree(scratch)


def contents(image: Image) -> dict[str, tuple[str, int, int]]:
    """What the Dockerfile put there: digest, mode and owner of each path."""
    found = {}
    for part in ("opt", "usr/local", "var/lib/adt-gateway"):
        for path in [image.root.path / part, *sorted((image.root.path / part).rglob("*"))]:
            at = path.lstat()
            what = str(path.readlink()) if path.is_symlink() else ""
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not what else what
            found[str(path.relative_to(image.root.path))] = (digest, at.st_mode, at.st_uid)
    return found


@pytest.mark.slow
def test_two_builds_are_the_same(images: tuple[Image, Image]) -> None:
    """The image's files are the same bytes, whenever they are built from the same source."""
    first, second = map(contents, images)
    assert len(first) > 1000
    assert first == second


@pytest.mark.slow
def test_nothing_that_installs_is_left(images: tuple[Image, Image]) -> None:
    """No pip, no setuptools, no build backend; and every module is compiled."""
    names = {Path(path).name for path in contents(images[0])}
    assert not {name for name in names if re.match(r"(pip|setuptools|wheel|hatchling|ensurepip)\b", name)}
    place = images[0].root.path / "opt/adt-gateway/lib"
    sources = [path for path in place.rglob("*.py") if not path.is_symlink()]
    assert [
        path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
    ] == []


@dataclass(frozen=True, slots=True)
class Container:
    """A running one: `init` is its first process, as seen from here."""

    init: int
    image: Image

    def healthy(self) -> int:
        """The exit code of the image's health check, in the container."""
        entered = ["nsenter", f"--target={self.init}", "--all", "--root", "--wd", "--"]
        environ = Path(f"/proc/{self.init}/environ").read_bytes().decode().strip("\0").split("\0")
        command = [*entered, "env", "-i", *environ, *self.image.healthcheck]
        return done(command).returncode


def without_shell(image: Image, where: Path) -> Root:
    """The image's root, less every shell."""
    root = image.root.copy(where)
    for name in SHELLS:
        (root.path / "usr/bin" / name).unlink(missing_ok=True)
    return root


def confined(image: Image, root: Root, environ: dict[str, str], *command: str) -> list[str]:
    """The command line of a container: the image's user and environment, no privilege, a read-only root."""
    user, _, group = image.user.partition(":")
    unprivileged = [*BOUND_TO_PARENT, f"--reuid={user}", f"--regid={group}", *CONFINED]
    variables = pairs({**image.environ, **environ})
    program = [
        "/usr/bin/env",
        "-i",
        *variables,
        *unprivileged,
        *image.entrypoint,
        *(command or image.command),
    ]
    return root.read_only().within(program)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_the_image_says_its_version_without_a_shell(images: tuple[Image, Image], tmp_path: Path) -> None:
    """The entry point is the program, and needs no shell."""
    root = without_shell(images[0], tmp_path / "root")
    assert output(confined(images[0], root, {}, "--version")) == f"adt-gateway {__version__}\n"
    shutil.rmtree(root.path)


@pytest.mark.slow
def test_a_confined_container_serves_and_ends(images: tuple[Image, Image], tmp_path: Path) -> None:
    """As 65532, with nothing to write but its store, it serves, is healthy, and ends at SIGTERM with 0."""
    image, store = images[0], tmp_path / "store"
    store.mkdir()
    os.chown(store, 65532, 65532)
    root = without_shell(image, tmp_path / "root").bound(store, STORE, writable=True)
    admin = free_port()
    environ = {
        "ADT_GATEWAY_UPSTREAM__BASE_URL": "http://127.0.0.1:9",
        "ADT_GATEWAY_AUTH__MODE": "none",
        "ADT_GATEWAY_LISTEN__PORT": str(free_port()),
        "ADT_GATEWAY_ADMIN__PORT": str(admin),
        "ADT_GATEWAY_JOBS__STORE": f"sqlite://{STORE}/jobs.db",
        "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0",
    }
    with running(confined(image, root, environ)) as process:
        init = until(lambda: child_of(process.pid, "python"))
        container = Container(init, image)
        until(lambda: answers(f"http://127.0.0.1:{admin}/livez"))
        assert "adt_jobs_store_up 1.0" in httpx.get(f"http://127.0.0.1:{admin}/metrics").text
        assert {path.name for path in store.iterdir()} >= {"jobs.db"}
        status = Path(f"/proc/{init}/status").read_text()
        assert re.search(r"^Uid:\t65532\t65532\t65532\t65532$", status, re.MULTILINE)
        assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
        assert container.healthy() == 0
        os.kill(init, 15)
        process.wait()
        assert process.returncode == 0
    shutil.rmtree(root.path)
