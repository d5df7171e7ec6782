"""A client that repeats its writes, connections that break, a gateway that is killed: one send each.

A small service takes writes and keeps jobs; a small corridor does with claims and verdicts what they are made
for. Each send meets a fate, and the same calls come again and again, also at once.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.jobs.writes import Answer, JobRead, Recorded, StillUnknown, UnknownWrite, judge, read_target
from tests.support.job_writes import (
    NOON,
    Writes,
    arriving,
    deletion,
    import_body,
    import_job,
    job_body,
    not_found,
    read,
    told,
)

FATES = ("well", "well", "answer lost", "lost", "failed", "refused", "unsent", "killed", "killed after")
CALLS: dict[str, tuple[Exchange, bytes]] = {
    "import": (arriving(path=b"/jobs/imports/a"), import_body()),
    "import, same id": (arriving(path=b"/jobs/imports/a", request_id=b"call-2"), import_body(options=1)),
    "deletion": (deletion(b"d"), b""),
    "deletion without id": (deletion(), b""),
    "deletion without id, again": (deletion(request_id=b"call-2"), b""),
}


class Cut(Exception):
    """The answer did not come."""


@dataclass
class Service:
    """Takes writes: an id only once, and a deletion without one every time."""

    clock: float = NOON
    jobs: dict[str, bytes] = field(default_factory=dict)
    carried_out: Counter[str] = field(default_factory=Counter)

    def take(self, call: str) -> Recorded:
        exchange, _ = CALLS[call]
        job_id = told(exchange).job_id or f"made-{len(self.jobs)}"
        if job_id in self.jobs:
            return Recorded(400, [], b"")
        self.carried_out[call] += 1
        shown = import_job if exchange.route.job_kind == "import" else job_body
        self.jobs[job_id] = shown(job_id, made=self.clock)
        return Recorded(201 if exchange.method == "PUT" else 202, [], self.jobs[job_id])

    def show(self, path: bytes, at: float) -> JobRead:
        kind = "import" if path.startswith(b"/jobs/imports") else "deletion"
        if path == b"/jobs/deletions":
            listed = [json.loads(body) for job_id, body in self.jobs.items() if job_id != "a"]
            return read(json.dumps({"value": listed}).encode(), at=at, date=self.clock)
        body = self.jobs.get(path.rpartition(b"/")[2].decode())
        return not_found(kind, at=at) if body is None else read(body, at=at, date=self.clock)


@dataclass
class Corridor:
    """A gateway between a client and the service."""

    service: Service = field(default_factory=Service)
    writes: Writes = field(default_factory=Writes)
    succeeded: Counter[str] = field(default_factory=Counter)

    async def send(self, call: str, fate: str) -> None:
        exchange, body = CALLS[call]
        fingerprint = told(exchange, body)
        async with await self.writes.once.claim(fingerprint) as claim:
            if claim.recorded is not None:
                self.succeeded[call] += 1
                return
            if claim.unknown_since is not None:
                path, query = read_target(exchange, fingerprint.job_id)
                write = UnknownWrite(fingerprint, body, query, claim.unknown_since, claim.done)
                verdict = judge(write, self.service.show(path, self.writes.clocks.wall))
                if isinstance(verdict, Answer):
                    claim.succeeded(verdict.recorded, verdict.job_id)
                    self.succeeded[call] += 1
                if isinstance(verdict, Answer | StillUnknown):
                    return
            await claim.sending()
            await asyncio.sleep(0)
            answer = self.carry(call, fate)
            if answer.status < 300:
                claim.succeeded(answer, None)
                self.succeeded[call] += 1
            elif answer.status < 500:
                claim.refused()

    def carry(self, call: str, fate: str) -> Recorded:
        """What comes back of a send, and what the service has got of it."""
        if fate in {"well", "answer lost", "killed after"}:
            answer = self.service.take(call)
            if fate == "well":
                return answer
        if fate.startswith("killed"):
            self.writes.restart(down=1)
            self.service.clock += 1
        if fate in {"refused", "unsent", "failed"}:
            return Recorded(503 if fate == "failed" else 429, [], b"")
        raise Cut

    async def burst(self, call: str, fates: Sequence[str]) -> None:
        sends = (self.send(call, fate) for fate in fates)
        for broken in await asyncio.gather(*sends, return_exceptions=True):
            if broken is not None and not isinstance(broken, Cut):
                raise broken


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(CALLS)), st.lists(st.sampled_from(FATES), min_size=1, max_size=3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=80)
@given(STEPS, st.floats(-4_000, 4_000))
def test_a_write_is_carried_out_once(steps: list[tuple[str, list[str]]], fast: float) -> None:
    """Whatever breaks, no call is carried out twice, and success is told only of what was carried out."""
    corridor = Corridor()
    corridor.service.clock += fast

    async def run() -> None:
        for call, fates in steps:
            await corridor.burst(call, fates)
            corridor.writes.clocks.pass_by(5)
            corridor.service.clock += 5

    asyncio.run(run())
    done, told_so = corridor.service.carried_out, corridor.succeeded
    assert max(done.values(), default=0) <= 1
    assert done["import"] + done["import, same id"] <= 1
    for call in ("deletion", "deletion without id", "deletion without id, again"):
        assert not told_so[call] or sum(done[name] for name in CALLS if name.startswith("deletion")) > 0
    for call in ("import", "import, same id"):
        assert not told_so[call] or done["import"] + done["import, same id"]


@settings(max_examples=40)
@given(st.sampled_from(["import", "deletion"]), st.lists(st.sampled_from(FATES), max_size=6))
def test_a_client_that_goes_on_gets_its_answer(call: str, fates: list[str]) -> None:
    """A write whose job has an id succeeds in the end, however often it was lost before."""
    corridor = Corridor()

    async def run() -> None:
        for fate in [*fates, "well", "well"]:
            before = corridor.succeeded[call]
            await corridor.burst(call, [fate])
            corridor.writes.clocks.pass_by(1)
            corridor.service.clock += 1
        assert corridor.succeeded[call] > before

    asyncio.run(run())
    assert corridor.service.carried_out[call] == 1


def test_the_small_service_would_delete_twice() -> None:
    """Without claims the same call is carried out each time it comes: the properties can fail."""
    service = Service()
    service.take("deletion without id")
    service.take("deletion without id")
    assert service.carried_out["deletion without id"] == 2
