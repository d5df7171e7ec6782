"""A Debian root file system with the interpreter that runs the tests in /usr/local, as in the official Python
image of Debian's slim kind, and processes with it as their root.

Mounts are made in mount namespaces of their own: they are gone when the process is, however it ends.
"""

import fcntl
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.commands import output
from tests.support.programs import require_program

CHECKOUT = Path(__file__).parent.parent.parent
PACKAGES = (
    "ca-certificates",
    "libbz2-1.0",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libnsl2",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libtirpc3",
    "libuuid1",
    "netbase",
    "tzdata",
    "zlib1g",
    "systemd",
)
"""What the interpreter is linked with, as in the Python image, and systemd, which is not in that."""
PASSED_ON = re.compile(
    r"PIP_(?!CONFIG_FILE)\w+|SSL_CERT_\w+|(REQUESTS|CURL)_CA_BUNDLE|(https?|no)_proxy", re.IGNORECASE
)
"""Variables by which pip reaches its index from here."""


BOUND_TO_PARENT = ("setpriv", "--pdeathsig=KILL")
"""A command that ends with who started it. To be said again after a change of user, which takes it back."""


@dataclass(frozen=True, slots=True)
class Root:
    """A root file system; `binds` are mounted in it for each process, as (what, where, whether to write)."""

    path: Path
    binds: tuple[tuple[Path, str, bool], ...] = ()
    writable: bool = True

    def bound(self, what: Path, where: str, *, writable: bool = False) -> "Root":
        """The same root with one more mount."""
        return replace(self, binds=(*self.binds, (what, where, writable)))

    def read_only(self) -> "Root":
        """The same root with nothing to write but in mounts that say so."""
        return replace(self, writable=False)

    def within(
        self, command: Sequence[str], *, unshared: Sequence[str] = (), before: Sequence[str] = ()
    ) -> list[str]:
        """The command line that runs a command in here, as process 1 of a process namespace of its own.

        `unshared` are options of unshare for further namespaces, `before` shell lines that run from outside,
        in the root's folder.
        """
        root = shlex.quote(str(self.path))
        script = ["set -e", f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc"]
        script += [line for bind in self.binds for line in self._mount(*bind)]
        if not self.writable:
            script.append(f"mount -o remount,bind,ro {root}")
        # Entered after the mount, or the new root would be what lies below it. A chroot would not do for
        # systemd, which makes namespaces of its own and has to find its root at their root.
        script += [
            f"cd {root}",
            *before,
            "pivot_root . .",
            "umount -l .",
            f"exec chroot . {shlex.join(command)}",
        ]
        namespaces = ("--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", *unshared)
        return [*BOUND_TO_PARENT, "unshare", *namespaces, "sh", "-c", "\n".join(script)]

    def run(self, *command: str, environ: Mapping[str, str] | None = None) -> str:
        """What the command writes. Raises AssertionError with its complaints where it fails."""
        return output(self.within(["env", "-i", *pairs(environ or {}), *command]))

    def copy(self, where: Path) -> "Root":
        """A copy to change."""
        output(["cp", "--archive", "--reflink=auto", self.path, where])
        return replace(self, path=where)

    def _mount(self, what: Path, where: str, writable: bool) -> Iterator[str]:
        target = self.path / where.lstrip("/")
        if what.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        quoted = shlex.quote(str(target))
        yield f"mount --bind {shlex.quote(str(what))} {quoted}"
        if not writable:
            yield f"mount -o remount,bind,ro {quoted}"


def pairs(environ: Mapping[str, str]) -> list[str]:
    """Variables as `env` takes them."""
    return [f"{name}={value}" for name, value in environ.items()]


@pytest.fixture(scope="session")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def python_root(shared: Path) -> Root:
    """The root file system. It is built once below `shared`, where other processes may ask for it too.

    Skips the test where it cannot be had.
    """
    if os.geteuid() != 0:
        pytest.skip("a root file system can be made and entered by root only")
    if Path(sys.base_prefix) == Path("/usr"):
        pytest.skip("the interpreter belongs to this machine's system and cannot be copied out of it")
    debootstrap = require_program("debootstrap", "apt-get install debootstrap")
    root = Root(shared / "python-root")
    with _alone(shared / "python-root.lock"):
        if not root.path.exists():
            unfinished = Root(shared / "python-root.unfinished")
            shutil.rmtree(unfinished.path, ignore_errors=True)
            _debian(debootstrap, unfinished)
            _python(unfinished)
            unfinished.path.rename(root.path)
    return root


def program_root(shared: Path, where: Path) -> Root:
    """A copy with the program where the image has it, run from this checkout and with the tests' packages."""
    root = python_root(shared).copy(where)
    root.run("/usr/local/bin/python", "-m", "venv", "--without-pip", "/opt/adt-gateway")
    place = root.path / "opt/adt-gateway"
    [packages] = (place / "lib").glob("python3*/site-packages")
    (packages / "here.pth").write_text("/opt/source\n/opt/packages\n")
    program = place / "bin/adt-gateway"
    program.write_text("#!/opt/adt-gateway/bin/python\nfrom gateway.cli import main\nmain()\n")
    program.chmod(0o755)
    shutil.copy(CHECKOUT / "deploy/docker/healthcheck.py", place / "bin/healthcheck")
    installed = Path(sysconfig.get_path("purelib"))
    return root.bound(installed, "/opt/packages").bound(CHECKOUT / "gateway", "/opt/source/gateway")


def index_access(root: Root) -> tuple[Root, dict[str, str]]:
    """The root with what a process in it needs to reach the package index, and the variables that say how."""
    environ = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    for place in ("/etc/resolv.conf", "/etc/hosts", *environ.values()):
        if place.startswith("/") and Path(place).exists():
            root = root.bound(Path(place).resolve(), place)
    return root, environ


def _debian(debootstrap: str, root: Root) -> None:
    include = f"--include={','.join(PACKAGES)}"
    output([debootstrap, "--variant=minbase", include, "bookworm", root.path])
    shutil.rmtree(root.path / "var/cache/apt/archives", ignore_errors=True)


def _python(root: Root) -> None:
    """The interpreter, less what the official image leaves out: tests and compiled files."""
    base, prefix = Path(sys.base_prefix), root.path / "usr/local"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(
        base / "lib" / version,
        prefix / "lib" / version,
        symlinks=True,
        ignore=shutil.ignore_patterns("site-packages", "test", "tests", "__pycache__", "*.a"),
    )
    for library in base.glob("lib/libpython3*.so*"):
        shutil.copy2(library, prefix / "lib", follow_symlinks=False)
    shutil.copy2(base / "bin" / version, prefix / "bin" / version)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(version)
    root.run("/sbin/ldconfig")
    root.run("/usr/local/bin/python", "-B", "-m", "ensurepip", environ={"PATH": "/usr/bin"})


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
