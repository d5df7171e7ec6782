"""Why the store cannot be used: one line for people, with nothing in it that is secret."""

from typing import Final

from redis import exceptions

from gateway.fleet.wire import LATE, Lost

BROKEN: Final = "the store's answer is none of the script's"
LOST_DATA: Final = "the store has lost its data"
_LONGEST: Final = 160
_KNOWN: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (exceptions.NoPermissionError, "the user has not all rights that are needed"),
    (exceptions.AuthenticationWrongNumberOfArgsError, "the user name or password is refused"),
    (exceptions.AuthenticationError, "the user name or password is refused"),
    (exceptions.ReadOnlyError, "the server is a read-only replica"),
    (exceptions.BusyLoadingError, "the server is loading its data"),
    (exceptions.OutOfMemoryError, "the server is out of memory"),
    (exceptions.MaxConnectionsError, "the server has too many clients"),
    (TimeoutError, LATE),
    (exceptions.TimeoutError, LATE),
)


def reason_of(error: BaseException) -> str:
    """The reason, as one short line."""
    if isinstance(error, Lost):
        return str(error)
    text = str(error)
    if text.startswith("ADTLIFE"):
        return LOST_DATA
    if "Authentication required" in text:
        return "a password is required"
    for kind, reason in _KNOWN:
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError):
        return _line(error.strerror or text or type(error).__name__)
    return _line(text or type(error).__name__)


def _line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable if len(printable) <= _LONGEST else f"{printable[: _LONGEST - 1]}…"
