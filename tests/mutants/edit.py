"""One mutant of a Python file: a piece of source text, and where it goes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One mutant."""

    start: int
    end: int
    """Bytes of the source that `text` replaces."""
    text: str
    scope: str
    """The function or the module-level name it is in."""
    told: str
    lines: range
    """Lines that run when the mutated statement does; empty for what runs at import."""

    @property
    def name(self) -> str:
        """How people and the list of survivors call it; does not change when lines move."""
        return f"{self.scope}: {self.told}"

    def applied(self, source: str) -> str:
        """The mutated file."""
        raw = source.encode()
        return (raw[: self.start] + self.text.encode() + raw[self.end :]).decode()
