"""The store that is none: what is known lives as long as the process."""

from collections.abc import Mapping


class MemoryStore:
    """Keeps nothing, since its users hold in memory all that they give it.

    `problem`: why it stands in for a store that could not be opened; None where memory is what was asked for.
    """

    name = "memory"

    def __init__(self, problem: str | None = None) -> None:
        self.problem = problem

    def load(self, _space: str) -> Mapping[str, bytes]:
        """Nothing: this is a new process."""
        return {}

    def put(self, space: str, key: str, value: bytes) -> None:
        """Does nothing."""

    def remove(self, space: str, key: str) -> None:
        """Does nothing."""

    async def settled(self) -> bool:
        """Whether this is all that was asked for."""
        return self.problem is None

    async def aclose(self) -> None:
        """Does nothing."""
