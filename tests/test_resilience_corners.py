"""Corners of the circuit, its window and the budget that only one wrong line would change."""

import random
from typing import Any

import pytest

from gateway import failures
from gateway.config import Circuit, Retry
from gateway.exchange import Attempt
from gateway.resilience import STATES, Breaker, Retries
from gateway.resilience.window import Window

UNREACHABLE = failures.UpstreamUnreachable.code
LOST = failures.UpstreamConnectionLost.code


class Most(random.Random):
    """Chance that always takes the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class Bench:
    """A breaker on a clock that the test moves."""

    def __init__(self, chance: random.Random | None = None, **rules: Any) -> None:
        self.now = 1_000.0
        self.log: list[str] = []
        self.breaker = Breaker(
            Circuit(**rules), clock=lambda: self.now, chance=chance, log=lambda _, told: self.log.append(told)
        )

    def fails(self, code: str = UNREACHABLE, *, took: float = 0.0) -> None:
        attempt = Attempt(0, started=self.now - took, finished=self.now, error_type=code)
        self.breaker.ended(self.breaker.enter(), attempt)

    def passes(self) -> bool:
        return self.breaker.passes

    def is_closed(self) -> bool:
        return self.breaker.view().state == "closed"


def test_an_answer_changes_nothing_while_it_is_closed() -> None:
    """The head of a good answer neither forgets failures nor is told."""
    bench = Bench(failures=2)
    bench.fails()
    bench.breaker.answered(bench.breaker.enter(), 200)
    assert bench.log == []
    bench.fails()
    assert not bench.is_closed()


def test_everything_passes_as_soon_as_it_has_closed() -> None:
    """The time at which the next probe might have gone no longer counts."""
    bench = Bench(failures=1)
    bench.fails()
    assert not bench.passes()
    bench.now += 100
    bench.breaker.answered(bench.breaker.enter(), 200)
    assert bench.is_closed()
    assert bench.passes()
    bench.breaker.check()


def test_the_end_of_the_probe_that_closed_it_says_no_more() -> None:
    """Its head closed the circuit; that its body broke is not counted against the new beginning."""
    bench = Bench(failures=1)
    bench.fails()
    bench.now += 100
    probe = bench.breaker.enter()
    bench.breaker.answered(probe, 200)
    bench.breaker.ended(probe, Attempt(0, started=bench.now, finished=bench.now, error_type=UNREACHABLE))
    assert bench.is_closed()


def test_an_attempt_counts_when_it_has_ended() -> None:
    """A failure is as old as its end."""
    slow = Bench(failures=9, volume=2, window=10.0)
    slow.fails(LOST, took=100)
    slow.fails(LOST)
    assert not slow.is_closed()


@pytest.mark.parametrize(
    ("base", "waits"), [(5.0, [5.5, 11.0, 22.0, 44.0, 66.0, 66.0]), (100.0, [110.0, 110.0])]
)
def test_each_failed_probe_doubles_the_wait(base: float, waits: list[float]) -> None:
    """Up to a minute or what is configured, whichever is more, and a tenth of it more at most."""
    bench = Bench(Most(), failures=1, open_for=base)
    bench.fails()
    for wait in waits:
        assert bench.breaker.view().next_probe_in == pytest.approx(wait)
        assert bench.log[-1].endswith(f"Nothing is sent for {wait:.1f} s.")
        bench.now += wait
        bench.fails()


def test_chance_need_not_be_given() -> None:
    """Without a source of its own, breaker and budget have one; waits stay in their bounds."""
    bench = Bench(failures=1, open_for=5.0)
    bench.fails()
    assert 4.5 <= (bench.breaker.view().next_probe_in or 0) <= 5.5
    assert 0 <= Retries(Retry(backoff=0.1)).pause(2) <= 0.2
    assert Retries(Retry(backoff=0.1), chance=Most()).pause(3) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("rules", "code", "cause"),
    [
        ({"failures": 1}, UNREACHABLE, "1 connect in a row failed"),
        ({"failures": 2}, UNREACHABLE, "2 connects in a row failed"),
        ({"failures": 9, "volume": 1}, LOST, f"1 of 1 attempt in 10 s failed, the last with {LOST}"),
        ({"failures": 9, "volume": 2}, LOST, f"2 of 2 attempts in 10 s failed, the last with {LOST}"),
    ],
)
def test_why_it_opened_is_told(rules: dict[str, Any], code: str, cause: str) -> None:
    """The same words in the log, in the view and in the refusal."""
    bench = Bench(**rules)
    while bench.is_closed():
        bench.fails(code)
    assert bench.breaker.view().cause == cause
    assert bench.log[0].startswith(f"The circuit to the upstream is open: {cause}. Nothing is sent for ")
    with pytest.raises(failures.CircuitOpen) as refused:
        bench.breaker.check()
    assert refused.value.message == f"The upstream is left alone for now: {cause} (upstream.circuit)."
    assert refused.value.retry_after == bench.breaker.view().next_probe_in


def test_a_window_moves_at_the_very_end_of_its_step() -> None:
    """An event at the boundary of two steps belongs to the later one, of either kind."""
    for kind in (Window.first, Window.second):
        window = Window(10.0)
        kind(window, 0.0)
        kind(window, 1.0)
        assert sum(window.totals(9.5)) == 2
        assert sum(window.totals(10.0)) == 1
        assert sum(window.totals(11.0)) == 0


@pytest.mark.parametrize("pause", range(10, 41))
def test_nothing_outlives_the_window_however_long_nobody_came(pause: int) -> None:
    """After any pause of a window's length or more, all is forgotten."""
    window = Window(10.0)
    window.first(0.0)
    window.second(0.5)
    assert window.totals(0.5 + pause) == (0, 0)


def test_states() -> None:
    """The label's values, in the order in which they follow each other."""
    assert STATES == ("closed", "open", "half_open")
