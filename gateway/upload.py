"""A request body that streams from the app to the upstream as it comes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from gateway import failures


class AppsBody(Protocol):
    """Where the pieces come from."""

    failure: BaseException | None
    """What went wrong while they were read."""
    body_finished: bool
    """Whether there are no more."""

    async def next_piece(self) -> bytes:
        """The next piece; b"" for an empty one."""


class Upload:
    """A request body that streams from the app to the upstream as it comes."""

    def __init__(self, app: AppsBody, start: bytes) -> None:
        self._app = app
        self._start = start
        self.untouched = True
        """Whether nobody has asked for any of it: it can still be sent from its first byte on."""
        self.finished = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.untouched = False
        if self._start:
            yield self._start
        try:
            while not self._app.body_finished:
                piece = await self._app.next_piece()
                if piece:
                    yield piece
        except (failures.GatewayError, failures.ClientLeft) as failure:
            self._app.failure = failure
            raise
        self.finished.set()
