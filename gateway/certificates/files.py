"""Reading and writing the files of a directory: whole or not at all, keys for their owner only."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_LARGEST: Final = 65_536
PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
_DIRECTORY: Final = 0o700


class Unusable(Exception):
    """A file or the directory cannot be used; the message is one line for people."""


def make_directory(path: Path) -> None:
    """The directory, for its owner only; one that is there already keeps its mode. Raises Unusable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=_DIRECTORY, exist_ok=True)
    except OSError as error:
        raise Unusable(f"{path}: the directory cannot be made: {error.strerror}") from None


def read(path: Path) -> bytes | None:
    """The file's content, None where there is none. Raises Unusable for what is no small regular file."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            # A link could lead to somebody else's file, which a renewal would then replace.
            raise Unusable(f"{path} is not a regular file")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise Unusable(f"{path} is larger than {_LARGEST} bytes")
    return content


def is_open_to_others(path: Path) -> bool:
    """Whether somebody else than the owner may read or write the file."""
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def is_writable_by_others(folder: Path) -> bool:
    """Whether somebody else than the owner may replace files there; not so with the sticky bit."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    return os.name == "posix" and bool(mode & 0o022) and not mode & stat.S_ISVTX


def write(contents: dict[Path, tuple[bytes, int]]) -> None:
    """Write all these files with their modes, then put each in its place in one step. Raises Unusable."""
    written: dict[Path, Path] = {}
    try:
        for path, (content, mode) in contents.items():
            written[path] = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            _write(written[path], content, mode)
        for path, temporary in written.items():
            temporary.replace(path)
    except OSError as error:
        raise Unusable(f"{path} cannot be written: {error.strerror}") from None
    finally:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink()


def _write(path: Path, content: bytes, mode: int) -> None:
    # Made with its mode: a key must not be open to others even for a moment.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
