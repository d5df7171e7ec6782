"""The circuit and the budget against models of them, over any order of events."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway import failures
from gateway.config import Circuit, Retry
from gateway.exchange import Attempt
from gateway.resilience import Breaker, Retries
from gateway.resilience.breaker import LONGEST_OPEN
from gateway.resilience.verdict import verdict
from gateway.resilience.window import STEPS, Window

LOST, UNREACHABLE = failures.UpstreamConnectionLost.code, failures.UpstreamUnreachable.code
ENDS: list[dict[str, Any]] = [
    {"status": 200},
    {"status": 404, "error_type": "404"},
    {"status": 503, "error_type": "503"},
    {"error_type": LOST},
    {"error_type": UNREACHABLE},
    {"error_type": "GatewayOverloaded"},
    {"cancelled": True},
]
FAILURES, VOLUME, OPEN_FOR = 3, 6, 5.0


class CircuitModel(RuleBasedStateMachine):
    """Attempts begin and end in any order while time passes: what holds in every state."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 500.0
        rules = Circuit(failures=FAILURES, share=0.5, volume=VOLUME, window=10, open_for=OPEN_FOR)
        self.changes: list[str] = []
        self.breaker = Breaker(
            rules,
            clock=lambda: self.now,
            chance=random.Random(0),  # noqa: S311 - a seed makes a failure repeatable
            log=lambda _, told: self.changes.append(told),
        )
        self.under_way: list[tuple[int, int]] = []
        """What the circuit gave for each attempt, and how often it had changed by then."""
        self.probes: list[float] = []
        """When those began that keep the next one waiting."""

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 4.9, 6.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock moves on."""
        self.now += seconds

    @rule()
    def begin(self) -> None:
        """A closed circuit lets everything through; another one a probe, each later by twice as long."""
        state = self.breaker.view().state
        if not self.breaker.passes:
            with pytest.raises(failures.CircuitOpen) as refused:
                self.breaker.enter()
            assert 0 < (refused.value.retry_after or 0) <= 66
            return
        entry = self.breaker.enter()
        assert state in {"closed", "half_open"}
        if state == "half_open":
            # An end without a verdict makes room for the next at once: the row of waits begins anew.
            wait = min(LONGEST_OPEN, OPEN_FOR * 2 ** max(0, len(self.probes) - 1))
            assert not [at for at in self.probes if self.now - at < wait]
            self.probes.append(self.now)
        self.under_way.append((entry, len(self.changes)))

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 1_000), end=st.sampled_from(ENDS))
    def end(self, which: int, end: dict[str, Any]) -> None:
        """An attempt that says that all is well never opens a circuit, a failing one never closes one."""
        entry, began = self.under_way.pop(which % len(self.under_way))
        changes = len(self.changes)
        attempt = Attempt(0, started=self.now, finished=self.now, **end)
        before, well = self.breaker.view().state, verdict(attempt)
        if attempt.status is not None:
            self.breaker.answered(entry, attempt.status)
        self.breaker.ended(entry, attempt)
        after = self.breaker.view().state
        if before == "closed" and after != "closed":
            assert well is False
        if before != "closed" and after == "closed":
            assert well
        if well is None:
            assert after in {before, "half_open"}
        if len(self.changes) > changes or (changes == began and well is None):
            self.probes.clear()

    @precondition(lambda self: self.under_way and self.breaker.view().state == "closed")
    @rule()
    def outage(self) -> None:
        """Connects fail while others are under way, until nothing may be sent; then a probe may."""
        while self.breaker.view().state == "closed":
            attempt = Attempt(0, started=self.now, finished=self.now, error_type=UNREACHABLE)
            self.breaker.ended(self.breaker.enter(), attempt)
        self.probes.clear()
        self.now += 6.0

    @rule()
    def recover(self) -> None:
        """From every state a healthy upstream is asked again, within the longest wait and one answer."""
        self.now += 66.0
        self.probes.clear()
        entry = self.breaker.enter()
        self.breaker.ended(entry, Attempt(0, started=self.now, finished=self.now, status=200))
        assert self.breaker.view().state == "closed"

    @invariant()
    def its_view_agrees(self) -> None:
        """What is shown is what is done."""
        view = self.breaker.view()
        assert (view.state == "closed") == (view.cause is None)
        assert self.breaker.passes == (view.state == "closed" or view.next_probe_in == 0)


CircuitModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCircuit = CircuitModel.TestCase


@given(
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=120),
    st.sampled_from([1.0, 10.0, 3_600.0]),
)
@settings(max_examples=100, deadline=None)
def test_a_window_holds_what_is_recent(events: list[tuple[float, bool]], seconds: float) -> None:
    """It has everything of the last nine tenths of its time, and nothing that is older than all of it."""
    window, now, seen = Window(seconds), 77.0, []
    for pause, first in events:
        now += pause * seconds / 5
        (window.first if first else window.second)(now)
        seen.append((now, first))
        for kind, count in zip((True, False), window.totals(now), strict=True):
            ages = [now - at for at, was in seen if was is kind]
            surely = sum(age < seconds * (STEPS - 1) / STEPS - 1e-6 for age in ages)
            at_most = sum(age <= seconds + 1e-6 for age in ages)
            assert surely <= count <= at_most


@given(
    st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=200),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
)
@settings(max_examples=100, deadline=None)
def test_the_budget_is_kept(events: list[tuple[float, bool]], budget: float, floor: float) -> None:
    """In any 9 s there are at most the share of the requests of 10 s, and the floor of 10 s, as retries."""
    now = 40.0
    retries = Retries(Retry(budget=budget, floor=floor), clock=lambda: now)
    requests: list[float] = []
    granted: list[float] = []
    for pause, fails in events:
        now += pause
        requests.append(now)
        retries.requested(now)
        if fails and retries.granted(1):
            granted.append(now)
            lately = sum(now - at < 9 for at in granted)
            assert lately <= budget * sum(now - at <= 10 for at in requests) + floor * 10
