"""A machine that systemd runs: a root file system in namespaces and a control group of its own, as containers
have them. What systemd changes is its own: devices, /run and /tmp are new, /sys and /proc/sys read-only.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.support.commands import child_of, done, running, until
from tests.support.rootfs import Root

_DEVICES = {
    "null": "1 3",
    "zero": "1 5",
    "full": "1 7",
    "random": "1 8",
    "urandom": "1 9",
    "tty": "5 0",
    "ptmx": "5 2",
}
_BOOTED = 60.0
_OWN_GROUP = "umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount -o remount,ro /sys"
"""In a namespace where the control group that was entered is the root of all."""
_SHARED = "mount --make-rshared /"
"""What starts systemd has to do that; else mounts made for a service, as of credentials, do not arrive."""
_SYSTEMD = "exec env -i container=other PATH=/usr/bin:/usr/sbin /lib/systemd/systemd --unit=basic.target"
_BOOT = ("unshare", "--cgroup", "sh", "-c", f"{_OWN_GROUP} && {_SHARED} && {_SYSTEMD}")


@dataclass(frozen=True, slots=True)
class Machine:
    """A booted machine; `init` is its first process, as seen from here."""

    init: int
    root: Path

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, to whatever end."""
        entered = ["nsenter", f"--target={self.init}", "--all", "--root", "--wd", "--"]
        return done([*entered, *command])

    def run(self, *command: str) -> str:
        """What a command writes. Raises AssertionError where it fails."""
        done = self.tried(*command)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        """What systemd tells of a unit."""
        shown = self.run("systemctl", "show", unit, f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in shown.splitlines())

    def journal(self, unit: str) -> str:
        """What a unit wrote."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")


@contextmanager
def booted(root: Root) -> Iterator[Machine]:
    """A machine with this root, up to basic.target; it is gone after the block."""
    group = f"adt-gateway-tests-{uuid4().hex[:12]}"
    outer = root.within(_BOOT, unshared=("--net", "--uts", "--ipc"), before=_stage(group))
    try:
        with running(outer) as process:
            init = until(lambda: child_of(process.pid, "systemd"), within=_BOOTED)
            machine = Machine(init, root.path)
            booting = ("systemctl", "is-active", "basic.target")
            until(lambda: machine.tried(*booting).returncode == 0, within=_BOOTED)
            yield machine
    finally:
        _remove(group)


def _stage(group: str) -> list[str]:
    """Shell lines in the root's folder: devices, /run, /tmp, /sys, and a control group to be in."""
    lines = ["mount -t tmpfs -o mode=755 tmpfs dev", "ln -s /proc/self/fd dev/fd", "mkdir dev/shm"]
    lines += [f"mknod -m 666 dev/{name} c {numbers}" for name, numbers in _DEVICES.items()]
    lines += ["mount -t tmpfs tmpfs run", "mount -t tmpfs tmpfs tmp"]
    lines += ["mount --bind proc/sys proc/sys", "mount -o remount,bind,ro proc/sys"]
    lines += ["mount -t tmpfs tmpfs sys", "mkdir -p sys/fs/cgroup", "mount -t cgroup2 cgroup2 sys/fs/cgroup"]
    lines += [f"mkdir sys/fs/cgroup/{group}", f"echo 0 > sys/fs/cgroup/{group}/cgroup.procs"]
    return lines


def _remove(group: str) -> None:
    """Remove the control groups, as soon as the last process in them is gone."""
    script = f"mount -t cgroup2 cgroup2 /mnt && find /mnt/{group} -depth -type d -exec rmdir {{}} +"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    until(lambda: done(command).returncode == 0)


def exposure(report: str) -> float:
    """The overall figure of `systemd-analyze security`."""
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    assert found is not None, report
    return float(found[1])
