"""What a row is: a load or a fault, and what must hold under it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.bench.report import Figure
from tests.stress.stage import Stage


@dataclass(slots=True)
class Outcome:
    """What was seen. In a quick run only the promises decide: there is too little of it for the others."""

    promises: list[Figure] = field(default_factory=list)
    """Counts that any machine must show, however busy: requests lost, token requests, exit statuses."""
    measures: list[Figure] = field(default_factory=list)
    """Times, rates and sizes, which need a long run on a quiet machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    name: str
    load: str
    """The load or fault, in words."""
    holds: str
    """When the row holds, in words."""
    seconds: float
    """How long it takes, about."""
    quick_seconds: float
    run: Callable[[Stage], Awaitable[Outcome]]


def none(measure: str, count: float, note: str = "") -> Figure:
    """A count that must be 0."""
    return Figure(measure, count, "", 0, "at most", note=note)


def exactly(measure: str, count: float, wanted: float, note: str = "") -> Figure:
    """A count that must be that one; the figure is how far it is off."""
    return Figure(
        measure, abs(count - wanted), "off", 0, "at most", note=f"{count:g} of {wanted:g} {note}".strip()
    )
