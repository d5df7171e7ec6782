"""Whether a file may be used as ours, before SQLite touches it: opening another's file can change it.

Source: SQLite's documentation of its file format, "The Database Header".
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.jobs.stores.write_behind import Unusable

APPLICATION_ID: Final = 0x41445447
"""`PRAGMA application_id` of our files: "ADTG" in ASCII."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100
_APPLICATION_ID: Final = slice(68, 72)


def claim(path: Path) -> None:
    """Make the file, or see from its header that it is one of ours, and its owner's alone.

    Raises Unusable and OSError. Not to be called while the process has it open: closing any descriptor of a
    file gives up its locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise Unusable(f"{path} is not a file: name one")
        header = os.pread(descriptor, _HEADER, 0)
        if header and (len(header) < _HEADER or not header.startswith(_MAGIC)):
            raise Unusable(f"{path} is not a SQLite file: name another, or move it away")
        if header and int.from_bytes(header[_APPLICATION_ID]) != APPLICATION_ID:
            raise Unusable(f"{path} is another application's SQLite file: name another")
        if mode & 0o077:
            with suppress(PermissionError):  # it has another owner
                os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
