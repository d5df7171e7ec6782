"""TLS of the data listener; certificate, key and client CA are read again when they change.

A handshake that begins after a change gets the new ones, and a connection that stands keeps its own, so a
renewal fails no request. What cannot be used is told, and what was in use stays: of a pair that is replaced
file by file the halves do not match for a moment.
"""

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.config import ListenTls

POLL = 5.0
"""Seconds between two looks at the files."""

_Mark = tuple[int, int, int, int] | None
"""Times of content and of mode or name, inode and size; None while there is no file."""

_log = logging.getLogger("gateway.tls")


class ListenerTls:
    """The context for new connections, kept equal to the files.

    Raises OSError or ssl.SSLError when the files cannot be used at the start.
    """

    def __init__(self, settings: ListenTls) -> None:
        self._settings = settings
        self._seen = self._marks()
        self._newest = _context(settings)
        self.context = _context(settings)
        """What the server is given, once: it asks in each handshake for the newest."""
        # Called without a server name too (RFC 6066), and before a certificate is chosen.
        self.context.sni_callback = self._choose

    async def follow(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Look at the files every `POLL` seconds, until cancelled."""
        while True:
            await sleep(POLL)
            await self.look()

    async def look(self) -> None:
        """Read the files again if one is another than before."""
        marks = self._marks()
        if marks == self._seen:
            return
        # Taken before the files are read: a change meanwhile then shows at the next look.
        self._seen = marks
        try:
            self._newest = await asyncio.to_thread(_context, self._settings)
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or getattr(error, "reason", None) or type(error).__name__
            _log.error(
                "listen.tls: the changed files cannot be used, those before stay", extra={"reason": reason}
            )
        else:
            _log.info("listen.tls: new connections get the changed files")

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._newest

    def _marks(self) -> tuple[_Mark, ...]:
        tls = self._settings
        return tuple(_mark(path) for path in (tls.certificate_file, tls.key_file, tls.client_ca_file) if path)


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)  # noqa: PTH116 - called every few seconds on the event loop
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _context(tls: ListenTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate_file is not None:
        # An empty password, because without one OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(tls.certificate_file, tls.key_file, password="")
    if tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.client_ca_file)
    return context
