"""The one line on top: how the gateway is, and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.admin.page.traffic import failing
from gateway.admin.page.words import clock, visible

_LATELY = 60.0
"""Seconds of failures at ADT that are worth a word on top."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`mark` is `ok`, `warn` or `bad`: an icon and a colour, never without the title."""

    mark: str
    title: str
    reasons: tuple[str, ...]


def verdict(status: Mapping[str, Any]) -> Verdict:
    """What `/api/status` comes to."""
    failed = tuple(
        f"{visible(check['name'])}: {visible(check['detail'])}"
        for check in status["checks"]
        if not check["ok"]
    )
    if status["draining"]:
        why = "It ends: requests are served for limits.drain_delay more, then what is under way is finished."
        return Verdict("bad", "Draining", (why,))
    if not status["ready"]:
        return Verdict("bad", "Not ready", failed)
    concerns = tuple(_concerns(status))
    return Verdict("warn", "Ready, with a warning", concerns) if concerns else Verdict("ok", "Ready", ())


def _concerns(status: Mapping[str, Any]) -> Iterator[str]:
    """What does not keep requests from passing, but will, or keeps something else from working."""
    token, jobs, recent = status["token"], status["jobs"], status["recent"]
    if token is not None and token["failures"]:
        yield "The token is valid, but its refresh fails: see Token."
    circuit = status["upstream"]["circuit"]
    if circuit["cause"] is not None:
        yield f"ADT is left alone for now and requests get 503, because {visible(circuit['cause'])}."
    failures, requests = failing(recent["upstream"], _LATELY, recent["stepSeconds"])
    if failures:
        yield f"{failures:,} of {requests:,} requests to ADT failed in the last minute: see Traffic."
    if jobs["store"]["problem"] is not None:
        yield f"Job store: {visible(jobs['store']['problem'])}"
    fleet = status.get("fleet")
    if fleet is not None and fleet["problem"] is not None:
        store, problem = visible(fleet["store"]), visible(fleet["problem"])
        yield f"Fleet: {store} cannot be used: {problem}; each gateway keeps to its share of the rate."
    if jobs["watcher"]["failingSince"] is not None:
        since = clock(jobs["watcher"]["failingSince"], status["now"])
        yield f"Unfinished jobs cannot be followed since {since} UTC: their state may be old."
    if jobs["watcher"]["givenUp"]:
        yield f"Jobs that are followed no more: {', '.join(map(visible, jobs['watcher']['givenUp']))}"
