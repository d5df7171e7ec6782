"""Everything of an emulator that lives longer than a request."""

import asyncio
from dataclasses import dataclass, field

from gateway.emulator.blobs import BlobStore
from gateway.emulator.clock import Clock
from gateway.emulator.faults import FaultList
from gateway.emulator.graph import Graph
from gateway.emulator.guards import RateLimit
from gateway.emulator.issuer import Issuer
from gateway.emulator.jobs import JobBook
from gateway.emulator.journal import Journal
from gateway.emulator.settings import EmulatorSettings


@dataclass(slots=True)
class State:
    """One instance's data; all of it is touched from one event loop only."""

    settings: EmulatorSettings
    clock: Clock
    initial: EmulatorSettings
    journal: Journal
    issuer: Issuer
    graph: Graph = field(default_factory=Graph)
    blobs: BlobStore = field(default_factory=BlobStore)
    event_routes: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: FaultList = field(default_factory=FaultList)
    rate: RateLimit = field(default_factory=RateLimit)
    jobs: JobBook = field(init=False)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the listener stops: delays end at once."""

    def __post_init__(self) -> None:
        self.jobs = JobBook(self.graph, self.blobs)

    def reset(self) -> None:
        """Back to the first minute: no data, no faults, an empty journal, the settings of the start. Tokens
        stay valid.
        """
        self.settings = self.initial
        self.graph.clear()
        self.blobs.clear()
        self.event_routes.clear()
        self.faults.clear()
        self.journal.clear()
        self.rate = RateLimit()
        self.jobs = JobBook(self.graph, self.blobs)


def new_state(settings: EmulatorSettings, clock: Clock) -> State:
    """An empty instance."""
    return State(
        settings=settings,
        clock=clock,
        initial=settings,
        journal=Journal(settings.journal_size, settings.journal_body),
        issuer=Issuer(clock),
    )
