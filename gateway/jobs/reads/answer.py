"""What came back from the upstream, and how it is given to a caller."""

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from gateway.exchange import Attempt, Exchange, RawHeaders, TraceIds
from gateway.headers import first
from gateway.jobs.reads.header_digest import ECHOED

How = Literal["hit", "collapsed", "batched", "miss"]

_STATUS: Final = {
    ("hit", False): b"adt-gateway; hit",
    ("miss", False): b"adt-gateway; fwd=miss",
    ("collapsed", False): b"adt-gateway; fwd=miss; collapsed",
    ("batched", True): b"adt-gateway; fwd=miss; detail=batched",
    ("collapsed", True): b"adt-gateway; fwd=miss; collapsed; detail=batched",
    ("hit", True): b"adt-gateway; hit; detail=batched",
}
"""`Cache-Status` (RFC 9211) by how the caller was answered, and whether a list answered for it."""

BYPASS: Final = (b"cache-status", b"adt-gateway; fwd=bypass")

_PERSONAL: Final = ECHOED | {b"set-cookie", b"age"}
"""Response headers that are about one caller, or one moment."""


class Rest(Protocol):
    """A body too large to be kept, that is still coming."""

    async def read(self) -> bytes | None:
        """The next piece; None at the end."""

    async def aclose(self, error: BaseException | None = None) -> None:
        """Let it go; `error` is what went wrong while it was read."""


class Unshared(Exception):
    """The answer is too large to be shared: each caller asks for itself."""


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """An upstream's answer as it came, its links not rewritten."""

    status: int
    headers: RawHeaders = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: float
    """When the upstream request was sent, on the clock of the timers."""
    came_at: float
    """When the head of the answer came, on the same clock."""
    trace: TraceIds
    """The span of the request that fetched it."""
    attempts: list[Attempt] = field(default_factory=list)
    job_id: str | None = None
    job_status: str | None = None
    batched: bool = False
    elsewhere: bool = False
    """Another gateway asked for it."""
    rest: Rest | None = None
    """What follows `body` where it was too large to be read as a whole."""

    @property
    def size(self) -> int:
        """Bytes of headers and body."""
        return len(self.body) + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class Given:
    """An answer for one caller."""

    answer: ReadAnswer
    how: How
    age: float | None = None
    """Seconds since it was sent, where it was kept."""

    @property
    def result(self) -> How:
        """How the metric counts it."""
        return "batched" if self.answer.batched and self.how == "miss" else self.how

    def headers(self, exchange: Exchange) -> RawHeaders:
        """The upstream's headers as this caller gets them; what was about another caller is left out."""
        kept = self.answer.headers
        # A list was asked for with the headers of one of its callers, whoever that was.
        if self.how != "miss" or self.answer.batched:
            own = exchange.header(b"x-ms-client-request-id")
            echoes = own is not None and first(kept, b"x-ms-client-request-id") is not None
            kept = [pair for pair in kept if pair[0] not in _PERSONAL]
            if own is not None and echoes:
                kept.append((b"x-ms-client-request-id", own))
        status = _STATUS[self.result, self.answer.batched]
        told = [(b"cache-status", status)]
        if self.age is not None:
            told.append((b"age", b"%d" % self.age))
        return [*kept, *told]
