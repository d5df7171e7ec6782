"""A connection of the asyncio engine: one request after another, and whoever reads the answer."""

import asyncio
from typing import Protocol

from gateway.upstream.closure import is_proper
from gateway.upstream.round_trip import Upload


class Reader(Protocol):
    """Whoever waits for a response."""

    def feed(self, data: bytes) -> None:
        """The next bytes have come."""

    def ended(self, *, properly: bool) -> None:
        """No more bytes will come; `properly` says that the upstream has told so."""


class Owner(Protocol):
    """Whoever has the connection while it carries nothing."""

    def give_back(self, connection: "Connection") -> None:
        """It can carry the next request."""

    def forget(self, connection: "Connection") -> None:
        """It has ended."""


class Connection(asyncio.Protocol):
    """One connection; what comes while nobody waits for a response ends it (RFC 9112, section 9.5)."""

    __slots__ = ("_owner", "_room", "closed", "expires", "idle_since", "loop", "reader", "transport", "used")

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    idle_since: float
    """When the last response was complete, on the loop's clock."""

    def __init__(self, expires: float, owner: Owner) -> None:
        """No request is sent from `expires` on, on the loop's clock."""
        self.expires = expires
        self.reader: Reader | None = None
        self.used = False
        """Whether a response came, so that the upstream may have closed it since."""
        self.closed = False
        """Whether it can carry no further request."""
        self._room: asyncio.Future[None] | None = None
        """Done once more can be written; None while it can."""
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As `asyncio.Protocol`."""
        self.transport = transport  # type: ignore[assignment]
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """As `asyncio.Protocol`."""
        if self.reader is None:
            self.abort()
        else:
            self.reader.feed(data)

    def eof_received(self) -> None:
        """As `asyncio.Protocol`; the transport closes itself."""
        self.closed = True
        if self.reader is not None:
            self.reader.ended(properly=is_proper(self.transport.get_extra_info("ssl_object")))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the base class's
        """As `asyncio.Protocol`: without an end before it was cut."""
        self.closed = True
        self.resume_writing()
        self._owner.forget(self)
        if self.reader is not None:
            self.reader.ended(properly=False)

    @property
    def is_free(self) -> bool:
        """Whether it stands, and nothing waits to be written."""
        return not self.closed and self._room is None and not self.transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        """As `asyncio.Protocol`."""
        self._room = self.loop.create_future()

    def resume_writing(self) -> None:
        """As `asyncio.Protocol`."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def upload(self, upload: Upload, length: int | None) -> None:
        """Write the pieces of a body as they come, no faster than they are taken; in chunks without a length.

        Raises ValueError where the body has another length: what is left of it would be a request.
        """
        write = self.transport.write
        left = length
        async for piece in upload:
            if self.closed:
                return
            if left is None:
                write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else piece)
            else:
                left -= len(piece)
                if left < 0:
                    raise ValueError("the body is longer than was declared")
                write(piece)
            if self._room is not None:
                await self._room
        if self.closed:
            return
        if left is None:
            write(b"0\r\n\r\n")
        elif left:
            raise ValueError("the body is shorter than was declared")

    def free(self) -> None:
        """A response is complete, and nothing else is to come."""
        self.reader = None
        self.used = True
        self._owner.give_back(self)

    def abort(self) -> None:
        """End it at once."""
        self.closed = True
        self.transport.abort()

    def close(self) -> None:
        """End it politely, with a closure alert under TLS."""
        self.closed = True
        self.transport.close()
