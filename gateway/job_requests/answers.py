"""An answer that is at hand, for the rest of the story: it reads like a round trip's response."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gateway.exchange import RawHeaders
from gateway.jobs.reads import ReadAnswer
from gateway.jobs.reads.answer import Rest


@dataclass(slots=True)
class AnswerAtHand:
    """A status, headers and a body; `rest` is what follows the body where it was not read as a whole."""

    status: int
    headers: RawHeaders
    body: bytes
    observed: bool
    """Whether the ledger has been told of it."""
    rest: Rest | None = None

    @classmethod
    def of_read(cls, answer: ReadAnswer, headers: RawHeaders) -> Self:
        """An upstream's answer with the headers one caller gets."""
        return cls(answer.status, headers, answer.body, observed=True, rest=answer.rest)

    async def read(self) -> bytes | None:
        """The body, then what follows it, then None."""
        if self.body:
            body, self.body = self.body, b""
            return body
        return None if self.rest is None else await self.rest.read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self.rest is not None:
            await self.rest.aclose()
