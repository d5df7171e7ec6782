"""Rules of `limits`."""

from collections.abc import Iterator

from gateway.config.problem import Problem
from gateway.config.rules.given import Given


def drain(given: Given) -> Iterator[Problem]:
    """The time in all is longer than the delay it includes."""
    limits = given.settings.limits
    if limits.drain_timeout <= limits.drain_delay:
        fault = "must be greater than limits.drain_delay, which it includes"
        yield from given.fault("limits.drain_timeout", fault)
