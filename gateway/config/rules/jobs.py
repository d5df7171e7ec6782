"""Rules of `jobs`."""

from collections.abc import Iterator

from gateway.config.problem import Problem
from gateway.config.rules.given import Given


def store(given: Given) -> Iterator[Problem]:
    """The store is one that exists; whether its file can be used shows when it is opened."""
    jobs = given.settings.jobs
    if jobs.store != "memory" and jobs.store_file is None:
        yield from given.fault("jobs.store", "must be memory, or sqlite:///path with an absolute path")
