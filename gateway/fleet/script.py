"""The store's side of the room: all its verbs in one script, each of them atomic."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_PARTS: Final = ("prelude", "life", "turns", "reads", "once", "spaces", "end")


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the name by which a store that has seen it knows it."""

    source: str
    digest: str


def read_script() -> Script:
    """The script, from the files in `lua/`."""
    folder = files("gateway.fleet") / "lua"
    source = "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in _PARTS)
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
