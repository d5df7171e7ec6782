"""When the Jobs API may be called: the pace, what is saved up, pauses, and a queue with an end."""

import pytest

from gateway.failures import RateLimited
from gateway.jobs.governor import Governor, Priority, Ticket
from tests.support.timers import FakeTimers
from tests.support.token_sources import settle

READ, WRITE, WATCH = Priority.READ, Priority.WRITE, Priority.WATCH


class Paced:
    """A governor, its time, and when it granted."""

    def __init__(
        self, *, rate: float = 1.0, burst: int = 1, max_queued: int = 1_000, early: float = 0.0
    ) -> None:
        self.timers = FakeTimers(early=early)
        self.start = self.timers.now
        self.waits: list[tuple[Priority, float]] = []
        self.grants: list[float] = []
        self.governor = Governor(
            rate=rate, burst=burst, max_queued=max_queued, timers=self.timers, on_wait=self._granted
        )

    def _granted(self, priority: Priority, waited: float) -> None:
        self.waits.append((priority, waited))
        self.grants.append(self.timers.now - self.start)

    def come(self, count: int, priority: Priority = READ) -> list[Ticket]:
        return [self.governor.line_up(priority) for _ in range(count)]

    def after(self, seconds: float) -> list[float]:
        """Seconds since the start of the grants, once this time has passed."""
        self.timers.advance(seconds)
        return [round(moment, 6) for moment in self.grants]


async def test_free_turn_is_granted_at_once() -> None:
    """Where nobody waits and a turn is free, the ticket comes granted already, and no timer is set."""
    paced = Paced()
    (ticket,) = paced.come(1)
    assert ticket.granted.done()
    assert paced.waits == [(READ, 0.0)]
    assert paced.timers.armed == 0
    assert sum(paced.governor.queued().values()) == 0


async def test_pace_is_a_little_slower_than_the_limit() -> None:
    """At one a second the turns are 1.02 s apart, so that no two ever arrive within a second."""
    paced = Paced()
    paced.come(5)
    assert paced.after(60) == [0, 1.02, 2.04, 3.06, 4.08]
    assert [round(waited, 6) for _, waited in paced.waits] == [0, 1.02, 2.04, 3.06, 4.08]


async def test_rate_scales_the_pace() -> None:
    """Four a second are 0.255 s apart."""
    paced = Paced(rate=4)
    paced.come(4)
    assert paced.after(60) == [0, 0.255, 0.51, 0.765]


async def test_idle_time_saves_up_the_burst_and_no_more() -> None:
    """After any idle time `burst` go at once, then one per interval."""
    paced = Paced(burst=3)
    assert paced.come(4)[2].granted.done()
    assert paced.after(1_000) == [0, 0, 0, 1.02]
    paced.come(5)
    assert paced.after(60)[4:] == [1000, 1000, 1000, 1001.02, 1002.04]


async def test_burst_comes_back_one_per_interval() -> None:
    """What was saved up and spent is saved up again at the pace, not at once."""
    paced = Paced(burst=2)
    paced.come(2)
    paced.timers.advance(1.5)
    assert [ticket.granted.done() for ticket in paced.come(2)] == [True, False]
    assert paced.after(60) == [0, 0, 1.5, 2.04]


async def test_late_timer_is_not_made_up_for() -> None:
    """After the loop was blocked one turn is granted, and the next one an interval later."""
    paced = Paced()
    paced.come(5)
    paced.timers.block(10)
    assert paced.after(2) == [0, 10, 11.02]


async def test_early_timer_makes_no_early_turn() -> None:
    """A loop that wakes a little before the time grants nothing before the time."""
    paced = Paced(early=0.0004)
    paced.come(3)
    first, second, third = paced.after(60)
    assert second - first >= 1.02
    assert third - second >= 1.02
    assert third < 2.05


async def test_a_turn_that_is_used_late_moves_the_next() -> None:
    """What is done between a turn and its request does not bring two requests closer together."""
    paced = Paced()
    paced.come(3)
    with paced.governor.using():
        paced.timers.advance(3)
        assert paced.come(1)[0].granted.done() is False
    assert paced.after(60) == [0, 4.02, 5.04, 6.06]


async def test_rate_nought_switches_it_off() -> None:
    """With rate 0 everybody is served at once, always, and a pause means nothing."""
    paced = Paced(rate=0)
    assert paced.governor.off
    paced.governor.pause(60)
    assert all(ticket.granted.done() for ticket in paced.come(5_000))
    assert await paced.governor.turn(WATCH, 0) == 0
    assert paced.governor.paused_for == 0
    assert paced.governor.expected_wait(WATCH) == 0
    assert paced.timers.armed == 0
    assert not Paced().governor.off


async def test_pause_grants_nothing_and_uses_up_what_was_saved() -> None:
    """Nothing is granted during a pause; after it turns come one per interval, whatever the burst."""
    paced = Paced(burst=5)
    paced.governor.pause(30)
    paced.come(3)
    assert paced.after(29.99) == []
    assert paced.after(60) == [30, 31.02, 32.04]


async def test_pause_holds_for_those_who_wait_already() -> None:
    """A pause that comes while a timer is set holds it up."""
    paced = Paced()
    paced.come(3)
    paced.timers.advance(0.5)
    paced.governor.pause(10)
    assert paced.timers.armed == 1
    assert paced.after(60) == [0, 10.5, 11.52]


async def test_pause_is_extended_and_never_shortened() -> None:
    """A longer pause replaces a shorter one; a shorter one changes nothing."""
    paced = Paced()
    paced.governor.pause(10)
    paced.governor.pause(20)
    paced.governor.pause(5)
    assert paced.governor.paused_for == 20
    paced.timers.advance(15)
    paced.governor.pause(1)
    assert paced.governor.paused_for == 5
    paced.come(1)
    assert paced.after(60) == [20]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [(300.0, 300), (301.0, 300), (1e9, 300), (float("inf"), 300), (0.0, 0), (-5.0, 0), (float("nan"), 0)],
)
async def test_pause_is_bounded(asked: float, kept: float) -> None:
    """At most 300 s are believed; nothing, less than nothing and no number are no pause."""
    paced = Paced(burst=2)
    paced.governor.pause(asked)
    assert paced.governor.paused_for == kept
    paced.come(2)
    assert paced.after(400) == ([kept, kept + 1.02] if kept else [0, 0])


async def test_pause_shorter_than_the_interval_keeps_the_pace() -> None:
    """A pause that ends before the next turn does not bring it forward."""
    paced = Paced()
    paced.come(2)
    paced.governor.pause(0.5)
    assert paced.governor.paused_for == 0.5
    assert paced.after(60) == [0, 1.02]
    assert paced.governor.paused_for == 0


async def test_queue_has_an_end() -> None:
    """When `max_queued` wait, one more is refused with the time until a turn, until one of them has left."""
    paced = Paced(max_queued=3)
    _, first, *_ = paced.come(4)
    with pytest.raises(RateLimited) as refused:
        paced.governor.line_up(WRITE)
    assert refused.value.retry_after == pytest.approx(1.02)
    with pytest.raises(RateLimited) as refused:
        await paced.governor.turn(READ, 60)
    assert refused.value.retry_after == pytest.approx(4.08)
    paced.governor.withdraw(first)
    paced.come(1)
    paced.timers.advance(1.02)
    paced.come(1)
    with pytest.raises(RateLimited):
        paced.come(1)


async def test_withdrawn_ticket_costs_no_turn() -> None:
    """Who has left is passed over, and those behind move up; leaving twice, or after the turn, is nothing."""
    paced = Paced()
    granted, first, gone, last = paced.come(4)
    for ticket in (gone, gone, granted):
        paced.governor.withdraw(ticket)
    assert paced.governor.queued()[READ] == 2
    assert paced.after(2.04) == [0, 1.02, 2.04]
    assert first.granted.done()
    assert last.granted.done()
    paced.governor.withdraw(first)
    assert not gone.granted.done()


async def test_cancelled_ticket_leaves_by_itself() -> None:
    """A ticket whose future is cancelled costs no turn, not even at that moment, and keeps no place."""
    paced = Paced(max_queued=2)
    _, gone, stays = paced.come(3)
    gone.granted.cancel()
    assert paced.after(1.02) == [0, 1.02]
    assert stays.granted.done()
    (last,) = paced.come(1)
    last.granted.cancel()
    await settle()
    assert paced.governor.queued() == {WRITE: 0, READ: 0, WATCH: 0}
    assert paced.timers.armed == 0


async def test_timer_is_set_only_while_somebody_waits() -> None:
    """One timer for however many wait, and none once the last one was served or has left."""
    paced = Paced()
    tickets = paced.come(100)
    assert paced.timers.armed == 1
    paced.timers.advance(5)
    assert paced.timers.armed == 1
    for ticket in tickets:
        assert paced.timers.armed == 1
        paced.governor.withdraw(ticket)
    assert paced.timers.armed == 0
    paced.come(2)
    paced.timers.advance(5)
    assert paced.timers.armed == 0


async def test_free_turn_goes_to_who_waits() -> None:
    """While somebody waits for a timer that is late, a newcomer does not get past."""
    paced = Paced()
    _, waits = paced.come(2)
    paced.timers.now += 5
    (newcomer,) = paced.come(1)
    assert not newcomer.granted.done()
    paced.timers.advance(0)
    assert (waits.granted.done(), newcomer.granted.done()) == (True, False)
