"""What the gateways of a fleet call a read among themselves."""

from typing import NamedTuple

from gateway.jobs.reads.request import BatchKey, ReadKey
from gateway.jobs.reads.telling import name_of


class Names(NamedTuple):
    """Equal in all gateways for reads that get the same answer; digests, so that nothing of a read shows."""

    own: str
    """That of the read."""
    group: str | None
    """That of the list which could answer it; None where there is none such."""

    @property
    def asked(self) -> str:
        """What is asked first, and for which one gateway of all goes."""
        return self.own if self.group is None else self.group


def names_of(key: ReadKey, group: BatchKey | None) -> Names:
    """The names of a read."""
    return Names(name_of(key), None if group is None else name_of((b"list", *group)))
