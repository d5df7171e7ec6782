"""Secrets that must be told to nobody, and the places where they would show.

Every secret in the settings of a gateway that a test starts is a canary: from then on it is looked for in
whatever is told, as it is and as it is usually written. Issued tokens are known by their form.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, SecretStr

SHORTEST = 8
"""Characters; what is shorter is found everywhere by accident, and is no secret to look for."""
_ISSUED = rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"
"""A JSON web token, as the emulator's issuer signs them."""
_SIGNED = rb"[?&]sig=(?!\*|%2A|REDACTED|redacted|\.\.\.)[\w%-]{8,}"
"""The signature in a blob's URI (a SAS)."""


class Secrets:
    """What is looked for, and where it was found."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._names: dict[bytes, str] = {}
        self._pattern: re.Pattern[bytes] | None = None

    def add(self, name: str, secret: str) -> None:
        """Look for a secret from now on; a value that is not recognisable is none."""
        if len(secret) < SHORTEST or _forms(secret) <= self._names.keys():
            return
        self._names.update(dict.fromkeys(_forms(secret), name))
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join([*map(re.escape, longest_first), _ISSUED]))

    def forget(self) -> None:
        """Look for nothing, and have found nothing."""
        self.found.clear()
        self._names.clear()
        self._pattern = None

    @property
    def armed(self) -> bool:
        """Whether there is anything to look for."""
        return self._pattern is not None

    def within(self, text: str | bytes) -> list[str]:
        """The names of the secrets in a text."""
        if self._pattern is None:
            return []
        data = text.encode(errors="replace") if isinstance(text, str) else text
        return [self._names.get(match[0], "an issued token") for match in self._pattern.finditer(data)]

    def told(self, where: str, text: str | bytes) -> None:
        """Take note of every secret that a place tells."""
        self.found.extend(f"{where} tells {name}" for name in sorted(set(self.within(text))))

    def arrived(self, head: bytes) -> None:
        """A request that reached the upstream: a token may stand in its one Authorization line only."""
        if self._pattern is None:
            return
        lines = head.split(b"\r\n")
        self.told(
            "a request upstream",
            b"\r\n".join(line for line in lines if not line.lower().startswith(b"authorization:")),
        )


SECRETS = Secrets()
"""Those of this process."""


def secrets_of(settings: BaseModel) -> Iterator[tuple[str, str]]:
    """Key and value of every secret in the settings."""
    for key, value in settings:
        if isinstance(value, SecretStr):
            yield key, value.get_secret_value()
        elif isinstance(value, BaseModel):
            for below, secret in secrets_of(value):
                yield f"{key}.{below}", secret
        elif isinstance(value, dict):
            yield from _of_table(key, value.items())


def _of_table(key: str, items: Iterable[tuple[object, object]]) -> Iterator[tuple[str, str]]:
    for below, value in items:
        if isinstance(value, SecretStr):
            yield f"{key}.{below}", value.get_secret_value()


def _forms(secret: str) -> set[bytes]:
    forms = {secret, quote(secret, safe=""), quote_plus(secret), base64.b64encode(secret.encode()).decode()}
    return {form.encode() for form in forms}
