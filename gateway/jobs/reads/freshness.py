"""For how long an answer may be given again."""

from typing import Final

from gateway.config import Jobs
from gateway.jobs.model import TERMINAL, known_status

JOINED: Final = 1.0
"""Seconds for which a read that was sent is joined even where nothing is kept."""


def freshness(settings: Jobs, kind: str, status: str | None) -> float:
    """Seconds since the answer's request was sent; `status` is the job's, None for a list."""
    over = known_status(kind, status) in TERMINAL
    return settings.terminal_staleness if over else settings.max_staleness
