"""Names in the store: all of one instance in one hash tag, and none that a caller chose."""

import hashlib
from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
"""Of what is kept: gateways that keep it otherwise do not meet."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the gateways in front of one instance, told apart by the upstream's host and port."""

    instance: str

    def __call__(self, *parts: str) -> str:
        """`adt-gateway:1:{host}:` and the parts."""
        return ":".join((f"adt-gateway:{VERSION}:{{{self.instance}}}", *parts))

    def of(self, kind: str, name: str) -> str:
        """The key of a name that may hold anything: its SHA-256."""
        return self(kind, hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest())

    @property
    def channel(self) -> str:
        """The one channel."""
        return self("news")
