"""A secret from the configuration or from a file, masked."""

import asyncio
from pathlib import Path

from pydantic import SecretStr

from gateway.tokens.token import Reason, SourceError

_LONGEST = 65_536


class Secret:
    """A client's secret; one in a file is read once, and again when `reread` is called."""

    def __init__(self, value: SecretStr | None, file: Path | None) -> None:
        self._value = None if value is None else value.get_secret_value()
        self._file = file

    async def read(self) -> str:
        """The secret; raises `SourceError` if its file cannot be read. Empty where none is configured."""
        if self._value is None:
            self._value = "" if self._file is None else await asyncio.to_thread(read_secret, self._file)
        return self._value

    async def reread(self) -> bool:
        """Read the file again; whether the secret is another one now."""
        if self._file is None:
            return False
        before, self._value = self._value, await asyncio.to_thread(read_secret, self._file)
        return before != self._value


def read_secret(path: Path) -> str:
    """The text of a secret's file without the line end that editors add; raises `SourceError`."""
    text, cause = read_text(path)
    if cause:
        raise SourceError(Reason.SECRET_UNREADABLE, f"The client secret's file {path} {cause}.")
    return text


def read_text(path: Path) -> tuple[str, str]:
    """A small file's text and "", or "" and what is wrong with it."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST + 1)
        text = raw.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        return "", f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        return "", "is not text"
    if not text:
        return "", "is empty"
    return (text, "") if len(raw) <= _LONGEST else ("", "is too large")
