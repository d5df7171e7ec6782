"""Source: a file that something else keeps fresh.

The file holds a bare token, or JSON with `access_token` (or `token`) and `expires_on` (seconds since the
epoch) or `expires_in` (seconds since the file was written). Without either, a JWT's exp counts; without that
the token is good until the file changes.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from gateway.tokens.claims import bearer, json_object, jwt_expiry, seconds
from gateway.tokens.secret import read_text
from gateway.tokens.token import FetchedToken, Reason, SourceError

_Mark = tuple[int, int, int] | None
"""Modification time, inode and size; None while there is no file. A replaced file has another inode."""


class FileSource:
    """Reads the token's file when the keeper asks, which it does when the file has changed.

    `wall` is the wall clock, which expiry times in the file are measured by; `poll` is in seconds.
    """

    name = "file"

    def __init__(
        self, path: Path, *, timeout: float, poll: float = 5.0, wall: Callable[[], float] = time.time
    ) -> None:
        self.poll = poll
        self._path = path
        self._timeout = timeout
        self._wall = wall
        self._seen: _Mark = None

    def changed(self) -> bool:
        """Whether the file is not the one last read; one stat, some microseconds on the event loop."""
        return _mark(self._path) != self._seen

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:  # noqa: ARG002 - as the protocol
        """The token in the file; raises `SourceError`."""
        try:
            async with asyncio.timeout(self._timeout):
                self._seen, text, cause = await asyncio.to_thread(_read, self._path)
        except TimeoutError:
            cause = "was not read in time"
        if cause:
            raise SourceError(Reason.FILE_UNREADABLE, f"The token's file {self._path} {cause}.")
        return self._token(text)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _token(self, text: str) -> FetchedToken:
        text = text.strip()
        bare: dict[str, object] = {"token": text}
        content = json_object(text.encode()) if text.startswith("{") else bare
        if content is None:
            raise SourceError(Reason.FILE_UNREADABLE, f"The token's file {self._path} is not valid JSON.")
        token = bearer(content.get("access_token", content.get("token")))
        return FetchedToken(token, self._left(token, content), refresh_in=math.inf)

    def _left(self, token: str, content: dict[str, object]) -> float:
        expiry = seconds(content.get("expires_on"))
        life = seconds(content.get("expires_in"))
        if expiry is None and life is not None and self._seen is not None:
            expiry = self._seen[0] / 1e9 + life
        if expiry is None:
            expiry = jwt_expiry(token)
        return math.inf if expiry is None else expiry - self._wall()


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)  # noqa: PTH116 - called every few seconds on the event loop
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _read(path: Path) -> tuple[_Mark, str, str]:
    """The mark is taken first: a change while reading then shows at the next look."""
    return _mark(path), *read_text(path)
