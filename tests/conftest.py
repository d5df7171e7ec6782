"""What holds for every test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _levels_as_they_were() -> Iterator[None]:
    """Token sources quieten libraries for the whole process; no test shall hear less because of another."""
    names = ("", "azure", "msal", "httpx", "httpcore")
    before = [logging.getLogger(name).level for name in names]
    yield
    for name, level in zip(names, before, strict=True):
        logging.getLogger(name).setLevel(level)
