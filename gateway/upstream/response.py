"""A response whose head has arrived, as every engine gives it."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from gateway import failures
from gateway.deadline import within
from gateway.exchange import RawHeaders
from gateway.upstream.slots import Slots


class Response(ABC):
    """Reads its body with a deadline for each piece; frees the slots it holds once it is closed."""

    __slots__ = ("_next", "headers", "held", "idle", "left", "status")

    broken: ClassVar[tuple[type[Exception], ...]]
    """What the engine raises where the body breaks off."""

    # By the engine.
    status: int
    headers: RawHeaders
    left: int | None
    """How many bytes of the body are to come; None where only its end will tell."""
    _next: Callable[[], Awaitable[Any]]
    """Gives what `bytes` takes, or None at the end."""
    # By whoever counts and times round trips.
    held: Sequence[Slots]
    """Slots to be given back once."""
    idle: float
    """Seconds that each piece may take."""

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its proper end.

        Raises UpstreamConnectionLost when cut, and UpstreamTimeout.
        """
        left = self.left
        if left == 0:
            # Asking for the end would cost another trip through the engine.
            return None
        try:
            piece = await within(self.idle, self._next())
        except self.broken as error:
            raise failures.UpstreamConnectionLost(
                "The upstream's connection broke inside the response body."
            ) from error
        except TimeoutError:
            raise failures.UpstreamTimeout("The upstream stopped sending its response.") from None
        if piece is None:
            return None
        if left is not None:
            self.left = left - len(piece)
        return bytes(piece)

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end; may be repeated."""
        held, self.held = self.held, ()
        if not held:
            return
        try:
            await self.finish()
        finally:
            for slots in held:
                slots.give_back()

    @abstractmethod
    def finish(self) -> Awaitable[None]:
        """Close, as the engine does; the slots stay held."""

    @abstractmethod
    def discard(self) -> Awaitable[None]:
        """As `finish`, and let nobody use the connection again: what else it carries is in doubt."""
