"""The emulator's time: an injected callable that returns an aware UTC datetime."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def service_time(moment: datetime) -> str:
    """The moment as the service writes it: seven decimals and `+00:00` (examples of the REST reference)."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0+00:00"


def zulu_time(moment: datetime) -> str:
    """The moment with seven decimals and `Z`, as twins, models and import logs carry it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
