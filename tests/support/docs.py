"""What the documentation says, in a form that can be compared with the code.

`python -m tests.support.docs` writes into README.md again what the code has, too: the table of the gateway's
own errors, and that of how clients trust the CA of `certs`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.certificates import BUNDLE, ways
from gateway.failures import REGISTRY, ErrorCode

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
EMULATOR = ROOT / "docs" / "emulator.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CHANGELOG = ROOT / "CHANGELOG.md"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
FOLDERS = (*sorted((ROOT / "deploy").rglob("README.md")), ROOT / "grafana" / "README.md")
ALL = (README, EMULATOR, ARCHITECTURE, CHANGELOG, RUNBOOKS, *FOLDERS)

_MADE = r"(<!-- {0}: begin[^\n]*-->\n)(.*?)(<!-- {0}: end -->)"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: the text of its cells."""

    cells: tuple[str, ...]

    def names(self, column: int) -> list[str]:
        """What stands in code spans in a cell."""
        return _CODE.findall(self.cells[column])


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one. Raises ValueError where there is no such heading."""
    match = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"no heading {heading!r}")
    return match[1]


def rows(text: str, first_column: str) -> list[Row]:
    """The rows of the table whose first column has this title. Raises ValueError where there is none."""
    start = f"| {first_column} |"
    lines = iter(text.splitlines())
    if not any(line.startswith(start) for line in lines):
        raise ValueError(f"no table that starts with {first_column!r}")
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append(Row(tuple(cell.strip() for cell in line.strip("|").split("|"))))
    return found


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in a language."""
    return [body for name, body in _FENCE.findall(text) if name == language]


def code(text: str) -> Iterator[str]:
    """Everything that is code: spans and fenced blocks."""
    yield from (body for _, body in _FENCE.findall(text))
    yield from _CODE.findall(_FENCE.sub("", text))


def links(text: str) -> list[str]:
    """Targets of the links."""
    return _LINK.findall(text)


def anchors(text: str) -> set[str]:
    """The anchors that a renderer makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def error_table() -> str:
    """The README's table of the errors that the gateway makes."""
    head = "| code | status | when | `Retry-After` |\n|---|---|---|---|\n"
    return head + "".join(_error_row(code) for code in REGISTRY.values())


def trust_table() -> str:
    """The README's table of how clients trust the CA, in the words of `adt-gateway certs`."""
    authority = Path("ca.pem")
    head = "| client | trusts `ca.pem` by |\n|---|---|\n"
    table = "".join(
        f"| {way.client} | `{way.at(authority)}`{f'; {way.note}' if way.note else ''} |\n" for way in ways()
    )
    return f"{head}{table}\n`bundle.pem`, the public CAs and this one: `{BUNDLE.format(ca=authority)}`.\n"


MADE: Mapping[str, Callable[[], str]] = {"errors": error_table, "trust": trust_table}
"""What is made by the code, by the name of its place in the README."""


def written(name: str) -> str:
    """What stands in the README at that place. Raises ValueError where there is none."""
    return _place(README.read_text(), name)[2]


def write() -> None:
    """Write all of it into the README again."""
    text = README.read_text()
    for name, make in MADE.items():
        start, end = _place(text, name).span(2)
        text = text[:start] + make() + text[end:]
    README.write_text(text)


def _place(text: str, name: str) -> re.Match[str]:
    match = re.search(_MADE.format(name), text, re.DOTALL)
    if match is None:
        raise ValueError(f"README.md has no place for {name}")
    return match


def _error_row(code: ErrorCode) -> str:
    write = f"; {code.write_status} for POST and PATCH once sent" if code.write_status else ""
    return f"| `{code.name}` | {code.status}{write} | {code.when} | {'yes' if code.retry_after else 'no'} |\n"


if __name__ == "__main__":
    write()
