"""Errors that apps got since the start, by code, with the traces of the latest.

At most `CODES` codes are kept. The gateway's own are few and stay. Of the upstream's those leave first that
are in no reference, and among equals the one that was not seen for longest: an upstream that invents a code
for each answer pushes out its own inventions. A code that left and comes again starts at one.
"""

from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.exchange import Exchange

CODES = 50
LATEST = 3
"""Traces of each code."""
_LONGEST_CODE = 128
_LONGEST_METHOD = 32

Json = dict[str, Any]


class _Error(NamedTuple):
    """One error; nothing else of the exchange is kept, its headers hold secrets."""

    on: float
    trace_id: str
    sampled: bool
    method: str
    route: str


@dataclass(slots=True)
class _Seen:
    """What is known of one code."""

    code: str
    origin: str
    count: int = 0
    status: int | None = None
    latest: deque[_Error] = field(default_factory=lambda: deque(maxlen=LATEST))
    """Newest first."""


class Errors:
    """Errors by code and origin; `known` are the codes that may be expected of the upstream."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self._of_gateway: OrderedDict[str, _Seen] = OrderedDict()
        self._of_reference: OrderedDict[str, _Seen] = OrderedDict()
        self._others: OrderedDict[str, _Seen] = OrderedDict()
        self._shelves = (self._others, self._of_reference, self._of_gateway)
        """In the order in which they give way; each begins with what was not seen for longest."""

    def add(self, exchange: Exchange, code: str, on: float) -> None:
        """Count an error of an exchange that ended at `on`, seconds since the epoch."""
        code = code[:_LONGEST_CODE]
        origin = "upstream" if exchange.error_origin == "upstream" else "gateway"
        shelf = self._shelf(code, origin)
        seen = shelf.get(code)
        if seen is None:
            self._make_room()
            seen = shelf[code] = _Seen(code, origin)
        else:
            shelf.move_to_end(code)
        seen.count += 1
        # After a cut the app has the status of the answer that was begun, which says nothing of the error.
        seen.status = None if exchange.cut else exchange.status
        trace = exchange.trace
        method, route = exchange.method[:_LONGEST_METHOD], exchange.route.template
        seen.latest.appendleft(_Error(on, trace.trace_id, trace.sampled, method, route))

    def view(self) -> list[Json]:
        """Every code, the one seen last first."""
        seen = [seen for shelf in self._shelves for seen in shelf.values()]
        return [_shown(one) for one in sorted(seen, key=lambda one: one.latest[0].on, reverse=True)]

    def _shelf(self, code: str, origin: str) -> OrderedDict[str, _Seen]:
        if origin == "gateway":
            return self._of_gateway
        return self._of_reference if code in self._known else self._others

    def _make_room(self) -> None:
        if sum(map(len, self._shelves)) >= CODES:
            next(shelf for shelf in self._shelves if shelf).popitem(last=False)


def _shown(seen: _Seen) -> Json:
    return {
        "code": seen.code,
        "origin": seen.origin,
        "count": seen.count,
        "status": seen.status,
        "lastOn": seen.latest[0].on,
        "latest": [
            {
                "on": error.on,
                "traceId": error.trace_id,
                "sampled": error.sampled,
                "method": error.method,
                "route": error.route,
            }
            for error in seen.latest
        ],
    }
