"""The circuit: when it opens, what it lets through, and how it closes; on a clock that the test moves."""

import itertools
import logging
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import failures
from gateway.config import Circuit
from gateway.exchange import Attempt
from gateway.resilience import Breaker
from gateway.resilience.verdict import verdict

LOST = failures.UpstreamConnectionLost.code
UNREACHABLE = failures.UpstreamUnreachable.code
EVERY_FAILURE = (UNREACHABLE, LOST, failures.UpstreamTimeout.code, failures.BadUpstreamResponse.code)
SAYS_NOTHING = sorted(failures.REGISTRY.keys() - set(EVERY_FAILURE))


class Even(random.Random):
    """Chance that always takes the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@dataclass
class Bench:
    """A breaker, and attempts that end at once."""

    rules: dict[str, Any] = field(default_factory=dict)
    chance: random.Random = field(default_factory=Even)

    def __post_init__(self) -> None:
        self.now = 1_000.0
        self.log: list[tuple[int, str]] = []
        self.breaker = Breaker(
            Circuit(**self.rules),
            clock=lambda: self.now,
            chance=self.chance,
            log=lambda level, message: self.log.append((level, message)),
        )

    @property
    def state(self) -> str:
        return self.breaker.view().state

    def attempt(self, status: int | None = None, error_type: str | None = None, **more: Any) -> None:
        """One attempt from beginning to end. Raises CircuitOpen."""
        self.end(self.breaker.enter(), status, error_type, **more)

    def end(self, entry: int, status: int | None = None, error_type: str | None = None, **more: Any) -> None:
        """The end of an attempt that has begun."""
        if error_type is None and status is not None and status >= 400:
            error_type = str(status)
        self.breaker.ended(
            entry,
            Attempt(0, started=self.now, finished=self.now, status=status, error_type=error_type, **more),
        )

    def opened(self) -> "Bench":
        """The same with its circuit open, by connects that failed."""
        while self.state == "closed":
            self.attempt(error_type=UNREACHABLE)
        return self

    def probe(self) -> int:
        """Let the time until the next probe pass, and begin it."""
        self.now += self.breaker.view().next_probe_in or 0.0
        return self.breaker.enter()


def test_opens_on_connects_that_fail_in_a_row() -> None:
    """The fifth connect in a row that fails opens it, and the next attempt is refused until the probe."""
    bench = Bench()
    for _ in range(4):
        bench.attempt(error_type=UNREACHABLE)
    assert bench.state == "closed"
    bench.attempt(error_type=UNREACHABLE)
    assert bench.state == "open"
    with pytest.raises(failures.CircuitOpen) as refused:
        bench.breaker.enter()
    assert refused.value.retry_after == 5
    bench.now += 3
    with pytest.raises(failures.CircuitOpen) as refused:
        bench.breaker.check()
    assert refused.value.retry_after == 2
    assert "5 connects in a row failed" in refused.value.message


@pytest.mark.parametrize("between", [{"status": 200}, {"status": 404}, {"status": 500}, {"error_type": LOST}])
def test_a_connect_that_worked_begins_the_row_anew(between: dict[str, Any]) -> None:
    """Whatever came over a connection proves that there was one; its failure counts in the share alone."""
    bench = Bench()
    for _ in range(4):
        bench.attempt(error_type=UNREACHABLE)
    bench.attempt(**between)
    for _ in range(4):
        bench.attempt(error_type=UNREACHABLE)
    assert bench.state == "closed"


def test_opens_on_the_share_of_failures() -> None:
    """More than half of at least 20 attempts in 10 s: 10 of 20 do not open it, 11 of 21 do."""
    bench = Bench()
    for _ in range(10):
        bench.attempt(200)
        bench.attempt(503)
    assert bench.state == "closed"
    bench.attempt(503)
    assert bench.state == "open"
    [(level, message)] = bench.log
    assert level == logging.WARNING
    assert "11 of 21 attempts in 10 s failed, the last with 503" in message


def test_few_attempts_say_nothing() -> None:
    """Nineteen failures in 10 s open nothing, the twentieth does."""
    bench = Bench()
    for _ in range(19):
        bench.attempt(error_type=LOST)
    assert bench.state == "closed"
    bench.attempt(error_type=LOST)
    assert bench.state == "open"


def test_what_is_long_ago_is_forgotten() -> None:
    """Failures leave the window: the nineteen of 10 s ago do not count with today's."""
    bench = Bench()
    for _ in range(19):
        bench.attempt(500)
    bench.now += 10
    for _ in range(19):
        bench.attempt(500)
    assert bench.state == "closed"


@pytest.mark.parametrize("status", [*range(200, 500, 7), 401, 403, 404, 408, 425, 429, 499, 501, 505])
def test_answers_that_are_the_requests_own_never_open_it(status: int) -> None:
    """No 4xx counts, 429 and 408 among them, nor what the request itself brings about: 501 and 505."""
    bench = Bench({"volume": 1})
    for _ in range(100):
        bench.attempt(status)
    assert bench.state == "closed"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 511, 520, 599])
def test_every_other_5xx_counts(status: int) -> None:
    """5xx are failures, whatever stands between gateway and upstream sends them."""
    bench = Bench({"volume": 1})
    bench.attempt(status)
    assert bench.state == "open"


@pytest.mark.parametrize("code", EVERY_FAILURE)
@pytest.mark.parametrize("status", [None, 200])
def test_every_failure_of_the_upstream_counts(code: str, status: int | None) -> None:
    """Without an answer, or with one that broke in its body."""
    bench = Bench({"volume": 1})
    bench.attempt(status, code)
    assert bench.state == "open"


@pytest.mark.parametrize("code", [*SAYS_NOTHING, "ValueError"])
def test_failures_that_are_not_the_upstreams_say_nothing(code: str) -> None:
    """The gateway's own limits, the app's own request and bugs neither open it nor count as healthy."""
    assert verdict(Attempt(0, error_type=code)) is None
    bench = Bench({"volume": 1})
    for _ in range(100):
        bench.attempt(error_type=code)
    assert bench.state == "closed"


@pytest.mark.parametrize("status", [None, 200, 500])
def test_a_client_that_left_says_nothing(status: int | None) -> None:
    """Neither before the head nor inside the body."""
    bench = Bench({"volume": 1})
    bench.attempt(status, cancelled=True)
    assert bench.state == "closed"


def test_an_excused_timeout_says_nothing() -> None:
    """The time was over because the app was slow to send: not a failure of the upstream's."""
    bench = Bench({"volume": 1})
    attempt = Attempt(0, started=1_000, finished=1_000, error_type=failures.UpstreamTimeout.code)
    bench.breaker.ended(bench.breaker.enter(), attempt, excused=True)
    assert bench.state == "closed"
    bench.breaker.ended(bench.breaker.enter(), attempt)
    assert bench.state == "open"


def test_one_probe_at_a_time() -> None:
    """Once the time is over one attempt passes, and no other while it is under way."""
    bench = Bench().opened()
    bench.now += 5
    assert bench.state == "half_open"
    bench.breaker.enter()
    for _ in range(3):
        with pytest.raises(failures.CircuitOpen):
            bench.breaker.enter()
    assert bench.state == "half_open"


def test_an_answer_closes_it() -> None:
    """The head of the probe's answer is enough; what was counted before is forgotten."""
    bench = Bench().opened()
    entry = bench.probe()
    bench.breaker.answered(entry, 404)
    assert bench.state == "closed"
    assert bench.breaker.view() == bench.breaker.view().__class__("closed")
    for _ in range(4):
        bench.attempt(error_type=UNREACHABLE)
    assert bench.state == "closed"
    # The probe's own end comes later, and is no news.
    bench.end(entry, 404)
    assert [level for level, _ in bench.log] == [logging.WARNING, logging.INFO]


def test_it_begins_anew_once_it_has_closed() -> None:
    """The failures that opened it do not count again: one more is not the last of many."""
    bench = Bench({"window": 3_600.0})
    for _ in range(30):
        if bench.state == "closed":
            bench.attempt(503)
    bench.end(bench.probe(), 200)
    bench.attempt(503)
    assert bench.state == "closed"


def test_a_failing_answer_does_not_close_it() -> None:
    """A 503 is an answer, but not that of an upstream that is well."""
    bench = Bench().opened()
    entry = bench.probe()
    bench.breaker.answered(entry, 503)
    assert bench.state == "half_open"
    bench.end(entry, 503)
    assert bench.state == "open"


def test_failed_probes_double_the_wait() -> None:
    """5, 10, 20, 40, 60 and then 60 s; a circuit that has closed begins at 5 again."""
    bench = Bench().opened()
    waits = []
    for _ in range(6):
        waits.append(bench.breaker.view().next_probe_in)
        bench.end(bench.probe(), error_type=UNREACHABLE)
    assert waits == [5, 10, 20, 40, 60, 60]
    bench.end(bench.probe(), 200)
    assert bench.opened().breaker.view().next_probe_in == 5


def test_waits_are_never_too_long_to_count() -> None:
    """However often a probe fails, the wait stays what it is; one longer than 60 s is as configured."""
    bench = Bench({"open_for": 90.0}).opened()
    for _ in range(2_000):
        bench.end(bench.probe(), error_type=UNREACHABLE)
    assert bench.breaker.view().next_probe_in == 90


@pytest.mark.parametrize("seed", range(20))
def test_waits_differ_by_a_tenth(seed: int) -> None:
    """Gateways whose circuits opened together do not probe together."""
    bench = Bench(chance=random.Random(seed)).opened()  # noqa: S311 - a test's data
    assert 4.5 <= (bench.breaker.view().next_probe_in or 0) <= 5.5


@pytest.mark.parametrize(
    "end", [{"cancelled": True}, {"error_type": "GatewayOverloaded"}, {"error_type": "X"}]
)
def test_a_probe_that_ends_without_a_verdict_makes_room(end: dict[str, Any]) -> None:
    """Its client left, or it had no connection: the next attempt is the probe, at once."""
    bench = Bench().opened()
    bench.end(bench.probe(), **end)
    assert bench.state == "half_open"
    bench.end(bench.breaker.enter(), 200)
    assert bench.state == "closed"


def test_a_slow_probe_does_not_keep_others_for_ever() -> None:
    """A probe without an answer for open_for lets the next one go; the first answer of either closes it."""
    bench = Bench().opened()
    slow = bench.probe()
    bench.now += 4.9
    with pytest.raises(failures.CircuitOpen):
        bench.breaker.enter()
    bench.now += 0.1
    second = bench.breaker.enter()
    assert slow == second
    bench.breaker.answered(slow, 200)
    assert bench.state == "closed"


def test_overdue_probes_become_rarer() -> None:
    """Each probe that has no answer in time doubles the wait for the next: 5, 10, 20, 40, then 60 s."""
    bench = Bench().opened()
    began: list[float] = []
    while len(began) < 7:
        bench.probe()
        began.append(bench.now)
    assert [later - earlier for earlier, later in itertools.pairwise(began)] == [5, 10, 20, 40, 60, 60]


def test_an_overdue_probe_waits_as_long_as_the_one_before() -> None:
    """After a probe that failed the next one has the doubled time, and then twice that."""
    bench = Bench().opened()
    bench.end(bench.probe(), error_type=UNREACHABLE)
    bench.probe()
    assert bench.breaker.view().next_probe_in == 10
    bench.probe()
    assert bench.breaker.view().next_probe_in == 20


def test_attempts_from_before_say_nothing() -> None:
    """What was under way when it opened neither closes it nor opens it again."""
    bench = Bench()
    late = [bench.breaker.enter() for _ in range(3)]
    bench.opened()
    bench.breaker.answered(late[0], 200)
    bench.end(late[0], 200)
    bench.end(late[1], error_type=LOST)
    assert bench.state == "open"
    probe = bench.probe()
    bench.end(late[2], cancelled=True)
    with pytest.raises(failures.CircuitOpen):
        bench.breaker.enter()
    bench.end(probe, 200)
    assert bench.state == "closed"


def test_each_change_is_logged_once() -> None:
    """Opening is a warning with its cause, a failed probe and the end are infos; refusals are silent."""
    bench = Bench().opened()
    for _ in range(10):
        with pytest.raises(failures.CircuitOpen):
            bench.breaker.enter()
    bench.end(bench.probe(), error_type=LOST)
    bench.end(bench.probe(), 200)
    levels, messages = zip(*bench.log, strict=True)
    assert levels == (logging.WARNING, logging.INFO, logging.INFO)
    assert messages == (
        "The circuit to the upstream is open: 5 connects in a row failed. Nothing is sent for 5.0 s.",
        f"The circuit to the upstream stays open: a probe failed with {LOST}. Nothing is sent for 10.0 s.",
        "The circuit to the upstream is closed again, after 15.0 s.",
    )


def test_it_can_be_switched_off() -> None:
    """With failures = 0 nothing opens it."""
    bench = Bench({"failures": 0, "volume": 1})
    for _ in range(100):
        bench.attempt(error_type=UNREACHABLE)
    assert (bench.state, bench.log) == ("closed", [])


def test_a_view_tells_people() -> None:
    """State, cause, since when, and when the next probe goes."""
    bench = Bench().opened()
    bench.now += 2
    view = bench.breaker.view()
    assert (view.state, view.cause) == ("open", "5 connects in a row failed")
    assert (view.open_seconds, view.next_probe_in) == (2, 3)
    assert not bench.breaker.passes
    bench.now += 4
    assert (bench.state, bench.breaker.view().next_probe_in, bench.breaker.passes) == ("half_open", 0, True)
