"""A response whose head has arrived, as every engine gives it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, ClassVar

from gateway import failures
from gateway.deadline import Alarm, rest_of
from gateway.exchange import RawHeaders
from gateway.upstream.slots import Slots

BROKEN = "The upstream's connection broke inside the response body."
LOST = "The connection to the upstream broke before it answered; the request may have been processed."
STALLED = "The upstream stopped sending its response."


class Response(ABC):
    """Reads its body with a deadline for each piece; frees the slots it holds once it is closed."""

    __slots__ = ("headers", "held", "idle", "left", "piece", "status")

    # By the engine.
    status: int
    headers: RawHeaders
    left: int | None
    """How many bytes of the body are to come; None where only its end will tell."""
    # By whoever counts and times round trips.
    held: Sequence[Slots]
    """Slots to be given back once."""
    idle: float
    """Seconds that each piece may take."""

    piece: bytes | None
    """The piece that was at hand; None for the end."""

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its proper end.

        Raises UpstreamConnectionLost when cut, and UpstreamTimeout.
        """
        return self.piece if self.is_at_hand() else await self.arrival()

    def whole(self) -> bytes | None:
        """All of the body, where it is here already, which reads it; None where it has to be waited for."""
        return None

    @abstractmethod
    def is_at_hand(self) -> bool:
        """Whether the next piece, or the end, is here and in `piece`; else `arrival` is to be awaited.

        Most bodies come whole with their head: for those there is no coroutine, no timer and no look at a
        clock. Raises UpstreamConnectionLost.
        """

    @abstractmethod
    def arrival(self) -> Coroutine[Any, Any, bytes | None]:
        """The piece that was not at hand. Raises as `read`."""

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end; may be repeated."""
        held, self.held = self.held, ()
        if not held:
            return
        try:
            closing = self.finish()
            if closing is not None:
                await closing
        finally:
            for slots in held:
                slots.give_back()

    @abstractmethod
    def finish(self) -> Awaitable[None] | None:
        """Close, as the engine does, which may be done at once; the slots stay held."""

    @abstractmethod
    def discard(self) -> Awaitable[None]:
        """As `finish`, and let nobody use the connection again: what else it carries is in doubt."""


class PulledResponse(Response):
    """A response whose pieces a library is asked for."""

    __slots__ = ("_next", "_steps", "_waiting")

    broken: ClassVar[tuple[type[Exception], ...]]
    """What the library raises where the body breaks off."""
    _next: Callable[[], Awaitable[Any]]
    """Gives what `bytes` takes, or None at the end."""
    _steps: Generator[Any, Any, Any]
    _waiting: Any

    def is_at_hand(self) -> bool:
        """As `Response.is_at_hand`."""
        if self.left == 0:
            # Asking for the end would cost another trip through the library.
            self.piece = None
            return True
        self._steps = steps = self._next().__await__()
        try:
            self._waiting = steps.send(None)
        except StopIteration as done:
            self.piece = self._taken(done.value)
            return True
        except self.broken as error:
            raise failures.UpstreamConnectionLost(BROKEN) from error
        return False

    async def arrival(self) -> bytes | None:
        """As `Response.arrival`."""
        try:
            with Alarm(self.idle):
                piece = await rest_of(self._steps, self._waiting)
        except self.broken as error:
            raise failures.UpstreamConnectionLost(BROKEN) from error
        except TimeoutError:
            raise failures.UpstreamTimeout(STALLED) from None
        return self._taken(piece)

    def _taken(self, piece: Any) -> bytes | None:
        if piece is None:
            return None
        if self.left is not None:
            self.left -= len(piece)
        return bytes(piece)
