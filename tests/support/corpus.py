r"""Hand-made messages in readable files: what a person reads and edits, and the bytes it stands for.

    # A comment.
    [two spaces before the target]
    rule: RFC 9112, section 3
    refused: 400 GatewayRequestInvalid
    | GET  /models HTTP/1.1
    | Host: localhost
    |

An entry is its name in brackets, then `key: value` lines, then the bytes. A `|` line is `| ` and what is
sent, CR LF included. In bytes and in values `\r \n \t \0 \\ \xHH` stand for one byte, and `\{text*9}` for
nine times the text; a `|` line that ends with a lone `\` has no CR LF of its own (`| GET / HTTP/1.1\n\`).
White space at the end of a line is written `\x20`, because editors remove it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "corpus"

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|([rnt0\\])|\{(.+?)\*(\d+)\})")
_SINGLE = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\x00", "\\": b"\\"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One message."""

    name: str
    place: str
    """Theme and line, for whoever looks for it: `framing.txt:12`."""
    data: bytes
    fields: list[tuple[str, str]] = field(default_factory=list)
    """The `key: value` lines in order, as written; `plain` gives a value's bytes."""

    @property
    def id(self) -> str:
        """Theme and name, one of a kind in the corpus."""
        return f"{self.place.partition('.')[0]}: {self.name}"

    def value(self, key: str) -> str | None:
        """The first value of a key."""
        return next((value for name, value in self.fields if name == key), None)


def plain(text: str) -> bytes:
    """The bytes that an escaped text stands for. Raises ValueError for an escape that is none."""
    out, at = bytearray(), 0
    for found in _ESCAPE.finditer(text):
        out += _literal(text[at : found.start()])
        pair, single, repeated, times = found.groups()
        if pair is not None:
            out += bytes.fromhex(pair)
        elif single is not None:
            out += _SINGLE[single]
        else:
            out += plain(repeated) * int(times)
        at = found.end()
    return bytes(out + _literal(text[at:]))


def readable(data: bytes) -> str:
    """The `|` lines that stand for these bytes: what `plain` and `load` read back."""
    lines = data.split(b"\r\n")
    shown = [f"| {escaped(line)}" if line else "|" for line in lines[:-1]]
    if lines[-1]:
        shown.append(f"| {escaped(lines[-1])}\\")
    return "\n".join(shown)


def escaped(data: bytes) -> str:
    """One line for these bytes, with printable ASCII as it is."""
    named = {byte[0]: f"\\{letter}" for letter, byte in _SINGLE.items()}
    text = "".join(
        named.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in data
    )
    return text[:-1] + r"\x20" if text.endswith(" ") else text


def load(kind: str) -> list[Entry]:
    """Every entry of `tests/corpus/<kind>/*.txt`, by file and line. Raises ValueError for a bad line."""
    return [
        entry for path in sorted((CORPUS / kind).glob("*.txt")) for entry in read(path.name, path.read_text())
    ]


def read(name: str, text: str) -> Iterator[Entry]:
    """The entries of one file of that name."""
    entry: Entry | None = None
    data = bytearray()
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{name}:{number}"
        if line.startswith("["):
            if entry is not None:
                yield _complete(entry, data)
            entry, data = Entry(line[1:].rstrip("]"), place, b""), bytearray()
        elif line.startswith("|") and entry is not None:
            data += _sent(line, place)
        elif line and not line.startswith("#"):
            key, colon, value = line.partition(":")
            if entry is None or data or not colon:
                raise ValueError(f"{place}: not a line of a corpus: {line!r}")
            entry.fields.append((key, value.strip()))
    if entry is not None:
        yield _complete(entry, data)


def _sent(line: str, place: str) -> bytes:
    text = line[2:]
    if line[1:2] not in {"", " "} or line != line.rstrip(" \t"):
        raise ValueError(f"{place}: a line of bytes begins with '| ' and has no white space at its end")
    stripped = text.rstrip("\\")
    whole = (len(text) - len(stripped)) % 2 == 0
    return plain(text) + b"\r\n" if whole else plain(text[:-1])


def _complete(entry: Entry, data: bytearray) -> Entry:
    return Entry(entry.name, entry.place, bytes(data), entry.fields)


def _literal(text: str) -> bytes:
    if "\\" in text:
        raise ValueError(f"not an escape: {text!r}")
    return text.encode("ascii")
