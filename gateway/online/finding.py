"""What a step found: outcome, words for people, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a step ended; only `FAILED` makes the check fail."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One step's result."""

    outcome: Outcome
    message: str
    details: tuple[str, ...] = ()
    """Further facts, a line each."""
    advice: str = ""
    """What to do; empty where nothing is to be done."""

    @property
    def passed(self) -> bool:
        """Whether steps that need this one can go on."""
        return self.outcome in {Outcome.OK, Outcome.WARNING}


@dataclass(frozen=True, slots=True)
class Step:
    """A finding with the step's name and how long it took, in seconds."""

    name: str
    finding: Finding
    seconds: float


def ok(message: str, *details: str) -> Finding:
    """All is well."""
    return Finding(Outcome.OK, message, details)


def warned(message: str, *details: str, advice: str) -> Finding:
    """It works, but not as it should."""
    return Finding(Outcome.WARNING, message, details, advice)


def failed(message: str, *details: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(Outcome.FAILED, message, details, advice)


def skipped(reason: str) -> Finding:
    """It was not tried."""
    return Finding(Outcome.SKIPPED, reason)


def noted(message: str, *details: str) -> Finding:
    """Good to know."""
    return Finding(Outcome.NOTE, message, details)
