"""Processes of other users that talk to a Unix socket: their identity is the kernel's word, not theirs."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from tests.support.raw import GUARD

_PROGRAM = """
import os, socket, sys
path, uid, gid, late = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "late"
def become():
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if not late:
    become()
with socket.socket(socket.AF_UNIX) as end:
    end.connect(path)
    if late:
        become()
    end.sendall(sys.stdin.buffer.read())
    while piece := end.recv(65536):
        sys.stdout.buffer.write(piece)
"""
"""Other users cannot read this interpreter's files, so the process becomes the user once it runs."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a process of another user was answered; status 0 where it could not even connect."""

    status: int
    text: str


async def say(path: Path, data: bytes, *, uid: int, gid: int = 0, late: bool = False) -> Said:
    """Have a process of that user and group connect and send; `late`: it is root's until it has connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        str(path),
        str(uid),
        str(gid),
        "late" if late else "early",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(GUARD):
        out, complaint = await process.communicate(data)
    if process.returncode:
        return Said(0, complaint.decode())
    return Said(int(out.split(b" ", 2)[1]), out.decode())


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may go through; skips the test where this process cannot become others."""
    if os.geteuid() != 0:
        pytest.skip("only root can start processes of other users: run the tests as root, as .ci/run does")
    folder = Path(mkdtemp(prefix="adt-gateway-"))
    try:
        folder.chmod(0o711)
        yield folder
    finally:
        rmtree(folder)
