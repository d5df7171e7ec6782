"""Random arrivals, departures, promotions, pauses and delays: what holds whatever happens.

An oracle keeps its own plain list of who waits, and judges each grant by the rules alone.
"""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.failures import RateLimited
from gateway.jobs.governor import Governor, Priority, Ticket
from gateway.retry_after import LONGEST
from tests.support.timers import FakeTimers

WATCH = Priority.WATCH
MAX_QUEUED = 12
LATE = 0.0011
"""What a turn may come late, because no timer is set for less than a millisecond."""

Step = tuple[Any, ...]
WHICH = st.integers(0, MAX_QUEUED)
SPANS = st.sampled_from([0.0, 0.0004, 0.5, 1.0, 1.02, 3.0]) | st.floats(0, 8)
COME = st.tuples(st.just("come"), st.sampled_from(Priority), st.none() | st.floats(0, 20))
STEPS = st.one_of(
    COME,
    COME,
    COME,
    st.tuples(st.just("pass"), SPANS),
    st.tuples(st.just("pass"), SPANS),
    st.tuples(st.just("block"), SPANS),
    st.tuples(st.just("withdraw"), WHICH),
    st.tuples(st.just("cancel"), WHICH),
    st.tuples(st.just("promote"), WHICH, st.sampled_from(Priority)),
    st.tuples(st.just("pause"), st.floats(-1, 20) | st.floats(290, 1e6)),
)
HISTORIES = st.lists(STEPS, max_size=60)
RATES = st.sampled_from([0.1, 1.0, 3.0, 200.0])
BURSTS = st.integers(1, 5)


@dataclass(frozen=True)
class Grant:
    """A turn, and who else waited when it was given."""

    at: float
    priority: Priority
    since: float
    others: tuple[tuple[Priority, float], ...]


@dataclass
class Oracle:
    """The governor under test, and all that was seen of it."""

    rate: float
    burst: int
    timers: FakeTimers = field(default_factory=FakeTimers)
    waiting: list[Ticket] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """From when until when."""

    def __post_init__(self) -> None:
        self.governor = Governor(
            rate=self.rate, burst=self.burst, max_queued=MAX_QUEUED, timers=self.timers, on_wait=self._told
        )

    async def live(self, history: Iterable[Step]) -> None:
        """Do the steps, and look at what must hold after each."""
        for name, *details in history:
            getattr(self, f"_{name}")(*details)
            await asyncio.sleep(0)  # futures tell of their cancellation in the loop's next round
            assert self.timers.armed == (1 if self.waiting else 0)
            assert self.governor.queued() == {
                priority: sum(ticket.priority is priority for ticket in self.waiting) for priority in Priority
            }

    def _told(self, priority: Priority, waited: float) -> None:
        served = [ticket for ticket in self.waiting if ticket.granted.done()]
        if not served:  # granted as it is made
            assert (self.waiting, waited) == ([], 0)
            self.grants.append(Grant(self.timers.now, priority, self.timers.now, ()))
            return
        (ticket,) = served
        assert (priority, waited) == (ticket.priority, self.timers.now - ticket.joined)
        self.waiting.remove(ticket)
        others = tuple((other.priority, other.since) for other in self.waiting)
        self.grants.append(Grant(self.timers.now, priority, ticket.since, others))

    def _come(self, priority: Priority, back: float | None) -> None:
        since = None if back is None else self.timers.now - back
        full = len(self.waiting) == MAX_QUEUED
        if full:
            with pytest.raises(RateLimited) as refused:
                self.governor.line_up(priority, since=since)
            assert refused.value.retry_after == self.governor.expected_wait(priority)
            return
        ticket = self.governor.line_up(priority, since=since)
        if not ticket.granted.done():
            self.waiting.append(ticket)

    def _pass(self, seconds: float) -> None:
        self.timers.advance(seconds)

    def _block(self, seconds: float) -> None:
        self.timers.block(seconds)

    def _withdraw(self, which: int) -> None:
        if which < len(self.waiting):
            self.governor.withdraw(self.waiting.pop(which))

    def _cancel(self, which: int) -> None:
        if which < len(self.waiting):
            self.waiting.pop(which).granted.cancel()
            self.timers.advance(3 / self.rate)

    def _promote(self, which: int, priority: Priority) -> None:
        if which < len(self.waiting):
            before = self.waiting[which].priority
            self.governor.promote(self.waiting[which], priority)
            assert self.waiting[which].priority == min(before, priority)

    def _pause(self, seconds: float) -> None:
        before = self.governor.paused_for
        self.governor.pause(seconds)
        asked = min(seconds, LONGEST)
        assert abs(self.governor.paused_for - max(before, asked, 0)) < 1e-6
        if self.timers.now + asked > self.timers.now:  # one that is shorter than the clock can tell is none
            self.pauses.append((self.timers.now, self.timers.now + asked))


def lived(rate: float, burst: int, history: list[Step]) -> Oracle:
    """What an oracle saw of this history, and of the time after it in which nobody else comes."""

    async def live() -> Oracle:
        oracle = Oracle(rate, burst)
        await oracle.live(history)
        left = len(oracle.waiting)
        await oracle.live([("pass", LONGEST + (left + 1) * (1.02 / rate + LATE))])
        assert oracle.waiting == []
        return oracle

    return asyncio.run(live())


@given(HISTORIES, RATES, BURSTS)
def test_rate_is_kept_over_any_window(history: list[Step], rate: float, burst: int) -> None:
    """Any window, however it is laid, has at most `burst` turns and those of its length at the rate."""
    times = [grant.at for grant in lived(rate, burst, history).grants]
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + math.floor((times[last] - start) * rate)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.98, 1.0, 2.5, 12.0]), min_size=15, max_size=40))
def test_ten_seconds_have_ten_turns_at_most(gaps: list[float]) -> None:
    """At one request a second no 10 s have more than ten turns."""
    come = ("come", Priority.READ, None)
    history: list[Step] = [step for gap in gaps for step in (("pass", gap), come)]
    times = [grant.at for grant in lived(1, 1, history).grants]
    assert all(sum(start <= moment <= start + 10 for moment in times) <= 10 for start in times)


@given(HISTORIES, RATES, BURSTS)
def test_pause_is_a_pause(history: list[Step], rate: float, burst: int) -> None:
    """During a pause there is no turn, and after it they come one per interval: nothing was saved up."""
    oracle = lived(rate, burst, history)
    for begins, ends in oracle.pauses:
        # A turn at the very moment of the pause's beginning may have been given before it.
        assert not [grant for grant in oracle.grants if begins < grant.at < ends]
        after = [grant.at for grant in oracle.grants if grant.at >= ends]
        for number, moment in enumerate(after):
            assert number <= math.floor((moment - ends) * rate)


@given(HISTORIES, RATES, BURSTS)
def test_order_is_kept(history: list[Step], rate: float, burst: int) -> None:
    """Nobody goes before an equal that came earlier, nor before a better priority but for one turn in ten."""
    passed = 0
    for grant in lived(rate, burst, history).grants:
        assert all(since >= grant.since for priority, since in grant.others if priority is grant.priority)
        better = [priority for priority, _ in grant.others if priority < grant.priority]
        if grant.priority is WATCH:
            assert not better or passed == 9
            passed = 0
        else:
            assert not better
            passed += any(priority is WATCH for priority, _ in grant.others)
            assert passed <= 9


@given(HISTORIES, RATES, BURSTS, st.sampled_from(Priority))
def test_expected_wait_comes_true(history: list[Step], rate: float, burst: int, priority: Priority) -> None:
    """If nobody else comes, a newcomer has its turn after the expected wait, and not before."""

    async def live() -> None:
        oracle = Oracle(rate, burst)
        await oracle.live(history)
        governor, timers = oracle.governor, oracle.timers
        if len(oracle.waiting) == MAX_QUEUED:
            governor.withdraw(oracle.waiting.pop())
        now, late = timers.now, LATE * (len(oracle.waiting) + 1)
        expected = governor.expected_wait(priority)
        ticket = governor.line_up(priority)
        oracle.waiting += [] if ticket.granted.done() else [ticket]
        timers.advance(expected * (1 - 1e-9) - 1e-6)
        assert ticket.granted.done() == (expected == 0)
        timers.advance(now + expected + late - timers.now)
        assert ticket.granted.done()

    asyncio.run(live())
