"""Which requests go wrong, and how: the faults of `POST /_emulator/faults`, matched in the order they were
added.
"""

import base64
import binascii
import itertools
import re
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from gateway.emulator.exchange import Answer
from gateway.emulator.strange import NAMED

MOST: Final = 100
"""Faults at a time."""
NEVER: Final = 86400.0
"""Longest delay in seconds."""

NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""What a header may consist of (RFC 9110, section 5)."""


class BadFault(ValueError):
    """The fault asked for makes no sense; the text says why."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault. Everything is optional; without `path` and `pattern` it is for every path outside
    `/_emulator`.
    """

    method: str | None = None
    """Only this method."""
    path: str | None = None
    """Only raw paths that begin with this."""
    pattern: str | None = None
    """Only targets (path and query, as they arrived) in which this regular expression is found."""
    skip: int = 0
    """Let so many matching requests through first."""
    times: int | None = 1
    """How many requests it is for; null for all to come."""
    kind: str | None = None
    """Answer with a named strange error."""
    status: int | None = None
    """Answer with this status, `headers` and `body`; over those of `kind`."""
    headers: list[tuple[str, str]] = msgspec.field(default_factory=list)
    """Headers in order, duplicates allowed; they come after those of `kind`, or of the operation when nothing
    replaces it.
    """
    body: str | None = None
    """Another body, as text."""
    body_base64: str | None = None
    """Another body, as bytes."""
    execute: bool = False
    """Carry the operation out although its answer is replaced, or cut before the head: the client's lost
    answer.
    """
    delay: float = 0.0
    """Seconds before the answer's first byte."""
    chunk_delay: float = 0.0
    """Seconds between pieces of the body."""
    chunk_size: int = 1
    """Bytes of a piece, when `chunk_delay` is given."""
    cut: Literal["before-head", "reset"] | int | None = None
    """Close the connection: before the head (`reset` with a TCP reset), or after so many body bytes."""

    def __post_init__(self) -> None:
        kinds = dict(NAMED)
        if self.kind is not None and self.kind not in kinds:
            raise BadFault(f"unknown kind {self.kind!r}; known: {', '.join(kinds)}")
        if self.status is not None and not 200 <= self.status <= 599:  # noqa: PLR2004 - the range HTTP defines
            raise BadFault("status must be from 200 to 599")
        if self.body is not None and self.body_base64 is not None:
            raise BadFault("give body or body_base64, not both")
        if not (0 <= self.delay <= NEVER and 0 <= self.chunk_delay <= NEVER):
            raise BadFault(f"delays must be from 0 to {NEVER:g} seconds")
        if self.skip < 0 or self.chunk_size < 1 or (self.times is not None and self.times < 1):
            raise BadFault("skip must be at least 0, chunk_size and times at least 1")
        if not all(NAME.fullmatch(name) and VALUE.fullmatch(value) for name, value in self.headers):
            raise BadFault("a header needs a token as its name and printable Latin-1 text as its value")
        if isinstance(self.cut, int) and self.cut < 0:
            raise BadFault("cut must be at least 0")
        try:
            re.compile(self.pattern or "")
            base64.b64decode(self.body_base64 or "", validate=True)
        except (re.error, binascii.Error) as error:
            raise BadFault(f"pattern or body_base64: {error}") from error

    def matches(self, method: str, target: str) -> bool:
        """Whether it is for this request."""
        return (
            self.method in (None, method)
            and target.startswith(self.path or "")
            and (self.pattern is None or re.search(self.pattern, target) is not None)
        )

    @property
    def replaces(self) -> bool:
        """Whether the operation's answer is replaced by another; else it is only changed, delayed or cut."""
        return self.kind is not None or self.status is not None

    @property
    def sends_head(self) -> bool:
        """Whether any byte of an answer is sent."""
        return not isinstance(self.cut, str)

    @property
    def carries_out(self) -> bool:
        """Whether the operation is done."""
        return self.execute or (self.sends_head and not self.replaces)

    def shape(self, answer: Answer) -> Answer:
        """The answer to send in place of this one."""
        if self.replaces:
            answer = Answer(200) if self.kind is None else dict(NAMED)[self.kind]()
        answer.status = self.status or answer.status
        answer.headers.extend(self.headers)
        if self.body is not None:
            answer.body = self.body.encode()
        if self.body_base64 is not None:
            answer.body = base64.b64decode(self.body_base64)
        return answer


@dataclass(slots=True)
class ActiveFault:
    """A fault with its number and what is left of it."""

    number: int
    fault: Fault
    skip: int
    left: int | None
    hits: int = 0

    def shown(self) -> dict[str, object]:
        """The fault for `GET /_emulator/faults`."""
        return {"id": self.number, "left": self.left, "hits": self.hits, "fault": self.fault}


@dataclass(slots=True)
class FaultList:
    """The faults that are set; used up ones drop out."""

    _faults: list[ActiveFault] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def add(self, fault: Fault) -> ActiveFault:
        """Set a fault. Raises BadFault when there are too many."""
        if len(self._faults) >= MOST:
            raise BadFault(f"there are {MOST} faults already; delete some")
        active = ActiveFault(next(self._numbers), fault, fault.skip, fault.times)
        self._faults.append(active)
        return active

    def take(self, method: str, target: str) -> Fault | None:
        """The first fault for this request, counted as used."""
        for active in self._faults:
            if not active.fault.matches(method, target):
                continue
            if active.skip > 0:
                active.skip -= 1
                continue
            active.hits += 1
            if active.left is not None:
                active.left -= 1
            if active.left == 0:
                self._faults.remove(active)
            return active.fault
        return None

    def all(self) -> tuple[ActiveFault, ...]:
        """The faults that are set, in order."""
        return tuple(self._faults)

    def remove(self, number: int) -> bool:
        """Remove one; False when there is none of that number."""
        before = len(self._faults)
        self._faults = [active for active in self._faults if active.number != number]
        return len(self._faults) < before

    def clear(self) -> None:
        """Remove all."""
        self._faults.clear()
