"""For whom an attempt is made: an app that waits, or nobody in particular."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from gateway.downstream import Upload

Result = TypeVar("Result")
Turn = Callable[[], Awaitable[None]]
"""Waits until the upstream may be sent another jobs request."""


class AppSide(Protocol):
    """What attempts want of whoever asked."""

    @property
    def failure(self) -> BaseException | None:
        """What went wrong while the app's body was read."""

    async def body(self) -> bytes | Upload | None:
        """The request's body."""

    async def race(self, call: Coroutine[Any, Any, Result], *, unsent: bool = False) -> Result:
        """Await the call for as long as somebody waits for it."""
