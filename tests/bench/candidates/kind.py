"""What is measured: a kind can be started, a candidate runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from tests.bench.site import Site

Part = Literal["all", "job", "tls"]


@dataclass(frozen=True, slots=True)
class Duties:
    """What a candidate has to do for each request besides passing it on."""

    spans: tuple[str, ...] = ()
    """Kinds of span that a sampled request gets one of each: server, client."""
    sampled: float = 1.0
    """Share of the requests that is sampled."""
    counted: Callable[[], float] | None = None
    """Requests on its own metrics endpoint so far."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One that runs and takes requests."""

    name: str
    port: int
    pid: int | None
    """None where nothing stands between load and upstream."""
    duties: Duties = Duties()
    tls: bool = False

    @property
    def url(self) -> str:
        """Its origin."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A candidate that may be started; `start` raises NotReadyError or OSError."""

    name: str
    start: Callable[[Site], AbstractContextManager[Candidate]]
    needs: tuple[str, ...] = ()
    """Programs that it needs."""
    part: Part = "all"
    """Takes part in all workloads without TLS, only in those that get a job, or only in those with TLS."""


def total(samples: str, name: str, *labels: str) -> float:
    """Sum of the samples of that name that have these labels, written as they are shown: `code="200"`."""
    found = 0.0
    for line in samples.splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and all(label in line for label in labels):
            found += float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])
    return found
