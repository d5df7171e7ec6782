"""`upstream.circuit` and `retry`: when the upstream is left alone, and what is tried again."""

from typing import Annotated

from pydantic import Field

from gateway.config.section import Section


class Circuit(Section):
    """`upstream.circuit`: while the upstream fails, answer 503 at once instead of asking it."""

    failures: Annotated[int, Field(ge=0, le=1_000)] = 5
    """Connects that fail in a row until the circuit opens; 0 switches the circuit breaker off."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """It opens as well when more than this share of the attempts within the window failed."""
    volume: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Attempts within the window without which the share says nothing."""
    window: Annotated[float, Field(ge=1, le=3_600)] = 10.0
    """How far back attempts count."""
    open_for: Annotated[float, Field(ge=0.1, le=3_600)] = 5.0
    """Wait until a probe is let through; doubled with each that fails, up to 60 s, give or take 10 %."""


class Retry(Section):
    """`retry`: what was provably not sent, and reads whose kept connection had died, are tried again."""

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """Attempts a request may have; 1 switches retries off."""
    budget: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the requests of the last 10 s that may be tried again."""
    floor: Annotated[float, Field(ge=0, le=1_000)] = 1.0
    """Retries per second that are allowed besides; those of up to 10 s may come at once."""
    backoff: Annotated[float, Field(ge=0, le=60)] = 0.1
    """Longest pause before the second attempt, doubled for each further one; each is random up to that."""
