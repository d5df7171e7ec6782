"""Readiness: named checks that look at what the gateway already knows; none of them calls the upstream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Check = Callable[[], tuple[bool, str]]
"""Whether it holds, and a few words for people; called on the loop, so it must be quick."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check said."""

    name: str
    ok: bool
    detail: str


class Health:
    """Ready while every check holds; draining is one of them."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

    @property
    def ready(self) -> bool:
        """Whether the app should send requests here."""
        return all(result.ok for result in self.report())

    def report(self) -> list[CheckResult]:
        """Every check's result, in the order they were given."""
        return [CheckResult(name, *check()) for name, check in self._checks.items()]
