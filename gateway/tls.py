"""TLS of the data listener; certificate, key and client CA are read again when they change.

A handshake that begins after a change gets the new ones, and a connection that stands keeps its own, so a
renewal fails no request. A session begun before the change is not taken up again: that would let a client in
without a look at its certificate, and at a CA that is another by now. What cannot be used is told, and what
was in use stays: of a pair that is replaced file by file the halves do not match for a moment.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Self

from gateway.config import ListenTls
from gateway.config.followed import Followed, follow

_log = logging.getLogger("gateway.tls")


class ListenerTls:
    """The context for new connections, kept equal to the files.

    Raises OSError or ssl.SSLError when the files cannot be used at the start.
    """

    def __init__(self, settings: ListenTls) -> None:
        self._settings = settings
        self._files = Followed((settings.certificate_file, settings.key_file, settings.client_ca_file))
        self.context = _Newest(_context(settings))
        """What the server is given, once."""
        self._told: str | None = None
        """Why the files cannot be used, as far as the log has it."""

    async def follow(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Look at the files every few seconds, until cancelled."""
        await follow(self.look, sleep)

    async def look(self) -> None:
        """Take up the files if one is another than before."""
        found = await self._files.renewed(self._read)
        if isinstance(found, str):
            if found != self._told:
                _log.error(
                    "listen.tls: the changed files cannot be used, those before stay", extra={"reason": found}
                )
            self._told = found
        elif found is not None:
            self._files.take()
            self._told, self.context.newest = None, found
            _log.info("listen.tls: new connections get the changed files")

    def _read(self) -> ssl.SSLContext | str:
        """A context from the files, or why there is none."""
        try:
            return _context(self._settings)
        except OSError as error:  # ssl.SSLError is one
            return error.strerror or getattr(error, "reason", None) or type(error).__name__


class _Newest(ssl.SSLContext):
    """A context that has each connection made by the newest one, which has sessions of its own."""

    newest: ssl.SSLContext

    def __new__(cls, newest: ssl.SSLContext) -> Self:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.newest = newest
        return made

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:
        """As asyncio and uvloop ask for each connection."""
        return self.newest.wrap_bio(*args, **more)


class _Connection(ssl.SSLObject):
    """A connection whose client's certificate may hold anything that its CA signed."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        """As the library, but names that are no UTF-8 name nobody, where they would end in a traceback."""
        try:
            return super().getpeercert(binary_form)
        except ValueError:
            return {}


def _context(tls: ListenTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Connection
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.certificate_file is not None:
        # An empty password, because without one OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(tls.certificate_file, tls.key_file, password="")
    if tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.client_ca_file)
    return context
