"""An answer that is at hand, for the rest of the story: it reads like a round trip's response."""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from gateway.exchange import Exchange, RawHeaders
from gateway.jobs.reads import ReadAnswer
from gateway.jobs.reads.answer import Rest


@dataclass(slots=True)
class AnswerAtHand:
    """A status, headers and a body; `rest` is what follows the body where it was not read as a whole."""

    exchange: Exchange
    """Whose answer it is: the wait for the rest counts as its wait for the upstream."""
    status: int
    headers: RawHeaders = field(repr=False)
    body: bytes = field(repr=False)
    observed: bool
    """Whether the ledger has been told of it."""
    rest: Rest | None = None

    @classmethod
    def of_read(cls, exchange: Exchange, answer: ReadAnswer, headers: RawHeaders) -> Self:
        """An upstream's answer with the headers one caller gets."""
        return cls(exchange, answer.status, headers, answer.body, observed=True, rest=answer.rest)

    def whole(self) -> bytes | None:
        """The body, where nothing follows it; it is read by that."""
        if self.rest is not None:
            return None
        body, self.body = self.body, b""
        return body

    async def read(self) -> bytes | None:
        """The body, then what follows it, then None."""
        if self.body:
            body, self.body = self.body, b""
            return body
        if self.rest is None:
            return None
        began = time.perf_counter()
        try:
            return await self.rest.read()
        finally:
            self.exchange.upstream_wait += time.perf_counter() - began

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self.rest is not None:
            await self.rest.aclose(error)
