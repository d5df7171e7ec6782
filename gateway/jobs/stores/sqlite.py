"""A store's entries in a SQLite file, for the thread that opened it.

The file is locked for one process and committed entries survive the process's death at any moment (WAL,
`synchronous=FULL`). It has to be on a local volume: network shares do not keep the locks that this rests on.
Source: SQLite's documentation of its pragmas.
"""

import errno
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.jobs.stores.claim import APPLICATION_ID, claim
from gateway.jobs.stores.write_behind import Changes, Spaces, Unusable

VERSION: Final = 1
"""`PRAGMA user_version`: of the table, not of the values."""
LOCK_SECONDS: Final = 1.0
"""How long to wait for a process that is just ending."""

_TABLE: Final = """
CREATE TABLE entries (
    space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (space, key)
) WITHOUT ROWID
"""
_READ: Final = "SELECT space, CAST(key AS BLOB), CAST(value AS BLOB) FROM entries"
_PUT: Final = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)"
_REMOVE: Final = "DELETE FROM entries WHERE space = ? AND key = ?"

_NOT_WRITABLE: Final = "cannot be written: let the gateway's user write this file and its directory"
_DAMAGED: Final = "is damaged: move it away, and a new one is made"
_FULL: Final = "has no room on its disk: make some"
_NO_DIRECTORY: Final = "is in a directory that does not exist: make it, or mount a volume there"
_OTHERWISE: Final = "cannot be used: check its disk"
_OF_SQLITE: Final[Mapping[int, str]] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: "is in use by another process: give each gateway a file of its own",
        sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
        sqlite3.SQLITE_CORRUPT: _DAMAGED,
        sqlite3.SQLITE_ERROR: _DAMAGED,  # the statements are sound, so the table is not
        sqlite3.SQLITE_FULL: _FULL,
        sqlite3.SQLITE_NOTADB: _DAMAGED,
        sqlite3.SQLITE_PERM: _NOT_WRITABLE,
        sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    }
)
_OF_THE_SYSTEM: Final[Mapping[int | None, str]] = MappingProxyType(
    {
        errno.EACCES: _NOT_WRITABLE,
        errno.EDQUOT: _FULL,
        errno.EISDIR: "is a directory: name a file in it",
        errno.ENOENT: _NO_DIRECTORY,
        errno.ENOSPC: _FULL,
        errno.ENOTDIR: _NO_DIRECTORY,
        errno.EPERM: _NOT_WRITABLE,
        errno.EROFS: _NOT_WRITABLE,
    }
)

Row = tuple[str, bytes, bytes]
"""Space, key and value; keys are bytes, because text in SQLite ends at a NUL for some of its functions."""


def open_file(path: Path) -> tuple["SqliteFile", Spaces]:
    """The file, made if it is not there, and what it holds.

    Raises Unusable, and leaves the file as it is, where it is not one of ours or cannot be used.
    """
    file = SqliteFile(path)
    spaces: Spaces = {}
    try:
        for space, key, value in file.rows():
            spaces.setdefault(space, {})[key.decode("utf-8", "replace")] = value
    except BaseException:
        file.close()
        raise
    return file, spaces


class SqliteFile:
    """An open file of entries; what does not work raises Unusable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rescued: list[Row] = []
        with _in_plain_words(path):
            self._connection: sqlite3.Connection | None = _connect(path)
            self._identity = _identity(path)

    def rows(self) -> list[Row]:
        """All entries."""
        if self._connection is None:
            return self._rescued
        with _in_plain_words(self._path):
            return self._connection.execute(_READ).fetchall()

    def write(self, changes: Changes) -> None:
        """All changes or none; durable on return.

        Where the file was removed, the first call says so, and the next makes it again with all it had.
        """
        with _in_plain_words(self._path):
            if self._connection is not None and _identity(self._path) != self._identity:
                self._rescue()
                raise Unusable(f"{self._path} was removed or replaced while in use: leave it where it is")
            connection = self._connection or self._made_again()
            puts = [(*_named(entry), value) for entry, value in changes.items() if value is not None]
            _apply(connection, puts, [_named(entry) for entry, value in changes.items() if value is None])

    def close(self) -> None:
        """Let the file go."""
        if self._connection is not None:
            with _in_plain_words(self._path):
                self._connection.close()

    def _rescue(self) -> None:
        """Read all from the file while it is open, then close it: its log has a name that a new one needs."""
        self._rescued = self.rows()
        self.close()
        self._connection = None

    def _made_again(self) -> sqlite3.Connection:
        if _identity(self._path) not in (None, self._identity):
            raise Unusable(
                f"{self._path} was replaced while in use: start the gateway again, or move it away"
            )
        connection = _connect(self._path)
        try:
            _apply(connection, self._rescued, [])
        except BaseException:
            connection.close()
            raise
        self._connection, self._identity, self._rescued = connection, _identity(self._path), []
        return connection


def _connect(path: Path) -> sqlite3.Connection:
    claim(path)
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
    try:
        # Before the first access, or there would be a file of shared memory.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA trusted_schema=OFF")
        with _transaction(connection):
            _check(connection, path)
        connection.execute("PRAGMA journal_mode=WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """See that the file is whole, and make the table in a new one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise Unusable(f"{path} was written by a newer version of the gateway: use that one, or another file")
    if version == 0:
        # With the application id in the same transaction there is never a file of ours that does not say so.
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Unusable(f"{path} {_DAMAGED}")


def _apply(
    connection: sqlite3.Connection, puts: Iterable[Row], removals: Iterable[tuple[str, bytes]]
) -> None:
    with _transaction(connection):
        connection.executemany(_PUT, puts)
        connection.executemany(_REMOVE, removals)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _named(entry: tuple[str, str]) -> tuple[str, bytes]:
    return entry[0], entry[1].encode("utf-8", "surrogatepass")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _in_plain_words(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        amiss, detail = _OF_SQLITE.get(primary, _OTHERWISE), str(error)
    except OSError as error:
        amiss, detail = _OF_THE_SYSTEM.get(error.errno, _OTHERWISE), error.strerror or str(error)
    else:
        return
    raise Unusable(f"{path} {amiss} ({detail})")
