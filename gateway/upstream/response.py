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

    __slots__ = ("_held", "_idle", "_next", "headers", "left", "status")

    broken: ClassVar[tuple[type[Exception], ...]]
    """What the engine raises where the body breaks off."""

    def __init__(
        self,
        status: int,
        headers: RawHeaders,
        next_piece: Callable[[], Awaitable[Any]],
        left: int | None = None,
    ) -> None:
        """`next_piece` gives what `bytes` takes, or None at the end."""
        self.status = status
        self.headers = headers
        self._next = next_piece
        self.left = left
        """How many bytes of the body are to come; None where only its end will tell."""
        self._held: Sequence[Slots] = ()

    def hold(self, slots: Sequence[Slots], idle: float) -> None:
        """Take over the slots of the round trip; each piece may take `idle` seconds from now on."""
        self._held = slots
        self._idle = idle

    async def read(self) -> bytes | None:
        """The next piece of the body, None at its proper end.

        Raises UpstreamConnectionLost when cut, and UpstreamTimeout.
        """
        left = self.left
        if left == 0:
            # Asking for the end would cost another trip through the engine.
            return None
        try:
            piece = await within(self._idle, self._next())
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
        held, self._held = self._held, ()
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
