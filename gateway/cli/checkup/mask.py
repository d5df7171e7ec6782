"""Secrets kept out of what is shown: whoever was sent one may say it again, in part or spelled otherwise.

A secret is known again by any twelve of its characters in a row, and by all of a shorter one. What stands
around them without a space goes with them: it may be the rest of it, cut or in capitals.
"""

import base64
import html
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.access_log.redaction import MASK

_PIECE: Final = 12
_SHORTEST: Final = 6
"""Characters; what is shorter is in plain words too, and masking those would tell it."""
_ROUNDS: Final = 3
"""Escapes within escapes, as in JSON that is a string in JSON."""
_ESCAPE: Final = re.compile(
    r"(?:%|\\u00|\\x)(?P<hex>[0-9A-Fa-f]{2})|\\(?P<quoted>[\\/\"'])"
    r"|&(?:#[0-9]{1,4}|#[xX][0-9A-Fa-f]{1,4}|amp|lt|gt|quot|apos);"
)
_AROUND: Final = re.compile(r"[\w.~+/=-]+")


class Mask:
    """Hides these secrets in any text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._pieces: dict[int, set[str]] = {}
        for secret in secrets:
            size = min(len(secret), _PIECE)
            if size >= _SHORTEST:
                pieces = self._pieces.setdefault(size, set())
                pieces.update(secret[at : at + size] for at in range(len(secret) - size + 1))

    def __repr__(self) -> str:
        return "Mask()"

    def hide(self, text: str) -> str:
        """The text with the secrets masked."""
        plain, places = _unescaped(text)
        shown, at = [], 0
        for start, end in self._found(plain):
            shown += [text[at : places[start]], MASK]
            at = places[end]
        return "".join([*shown, text[at:]])

    def _found(self, plain: str) -> Iterator[tuple[int, int]]:
        """Where secrets begin and end, in order and apart."""
        hits = [
            (at, at + size)
            for size, pieces in self._pieces.items()
            for at in range(len(plain) - size + 1)
            if plain[at : at + size] in pieces
        ]
        marked = bytearray(len(plain))
        for start, end in hits:
            marked[start:end] = b"x" * (end - start)
        for match in _AROUND.finditer(plain) if hits else ():
            start, end = match.span()
            if b"x" in marked[start:end]:
                marked[start:end] = b"x" * (end - start)
        yield from (found.span() for found in re.finditer(b"x+", marked))


def proxy_secrets(proxy: str | None) -> Iterator[str]:
    """What a proxy's URL has that only the proxy may know."""
    parts = urlsplit(proxy or "")
    if parts.password is None:
        return
    user, password = unquote(parts.username or ""), unquote(parts.password)
    yield password
    yield base64.b64encode(f"{user}:{password}".encode()).decode()


def header_secrets(headers: str) -> Iterator[str]:
    """The values of `OTEL_EXPORTER_OTLP_HEADERS`, which are keys as a rule."""
    for pair in headers.split(","):
        yield unquote(pair.partition("=")[2].strip())


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text without escapes; for each of its characters, and its end, the place in the original."""
    places = list(range(len(text) + 1))
    for _ in range(_ROUNDS):
        if _ESCAPE.search(text) is None:
            break
        plain: list[str] = []
        kept: list[int] = []
        at = 0
        for match in _ESCAPE.finditer(text):
            plain += [text[at : match.start()], _character(match)]
            kept += places[at : match.start() + 1]
            at = match.end()
        text, places = "".join([*plain, text[at:]]), kept + places[at:]
    return text, places


def _character(match: re.Match[str]) -> str:
    if match["hex"]:
        return chr(int(match["hex"], 16))
    return match["quoted"] or html.unescape(match[0])[:1] or "\ufffd"
