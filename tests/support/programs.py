"""Programs that some tests need: skip with the way to install them, fail where everything must run."""

import os
import shutil

import pytest


def require_program(name: str, install: str) -> str:
    """Path of the program; skips the test without it, fails it under `REQUIRE_ALL=1`."""
    path = shutil.which(name)
    if path is not None:
        return path
    message = f"{name} is not installed: {install}"
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(message)
    pytest.skip(message)
