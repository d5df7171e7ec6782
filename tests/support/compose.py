"""A Compose file, and its services as processes on a root file system instead of in containers.

What makes one network namespace of several services is one here too; names of services lead to loopback.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import yaml

from tests.support.commands import done, running
from tests.support.dockerfile import Image
from tests.support.rootfs import BOUND_TO_PARENT, Root, pairs


@dataclass(frozen=True, slots=True)
class Compose:
    """A Compose file; paths in it begin where it lies."""

    path: Path
    document: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Compose":
        """The file, with its merge keys resolved."""
        return cls(path, yaml.safe_load(path.read_text()))

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """The services by name."""
        services: dict[str, dict[str, Any]] = self.document["services"]
        return services

    def mounts(self, name: str) -> list[tuple[str, str, bool]]:
        """What a service mounts: source (a volume where it has no slash), target, whether to write."""
        split = [volume.split(":") for volume in self.services[name].get("volumes", ())]
        return [(source, target, mode != ["ro"]) for source, target, *mode in split]

    def source(self, source: str) -> Path:
        """The file or folder that a bind mount begins with."""
        return (self.path.parent / source).resolve()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where services run: a root for all, the image's way to start, a folder for each named volume."""

    compose: Compose
    root: Root
    image: Image
    volumes: Path

    @contextmanager
    def service(self, name: str) -> "Iterator[Popen[str]]":
        """A service, with its command, environment, mounts and limits, until the block ends."""
        service = self.compose.services[name]
        command = [*service.get("entrypoint", self.image.entrypoint)]
        # An entry point of the service's own leaves out the image's command.
        command += service.get("command", () if "entrypoint" in service else self.image.command)
        with running(self._within(name, command)) as process:
            yield process

    def with_program(self, program: Path) -> "Stage":
        """The same, with a program of this machine in place of the image."""
        root = self.root.bound(program, f"/bin/{program.name}")
        return replace(self, root=root, image=replace(self.image, entrypoint=(f"/bin/{program.name}",)))

    def healthy(self, name: str) -> bool:
        """Whether a service's health check says so."""
        _, *command = self.compose.services[name]["healthcheck"]["test"]
        return done(self._within(name, command)).returncode == 0

    def _within(self, name: str, command: list[str]) -> list[str]:
        service, root = self.compose.services[name], self.root
        for source, target, writable in self.compose.mounts(name):
            what = self.compose.source(source) if "/" in source else self.volumes / source
            root = root.bound(what, target, writable=writable)
        if service.get("read_only"):
            root = root.read_only()
        environ = self.image.environ | {
            key: str(value) for key, value in service.get("environment", {}).items()
        }
        uid, _, gid = self.image.user.partition(":")
        user = [*BOUND_TO_PARENT, f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
        capabilities = ["--bounding-set=-all", "--inh-caps=-all"]
        assert shlex.join(service["cap_drop"]) == "ALL"
        return root.within(["/usr/bin/env", "-i", *pairs(environ), *user, *capabilities, *command])
