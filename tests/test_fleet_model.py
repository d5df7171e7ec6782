"""Turns, leases and claims against models of them: the real script in a real server, with a clock of ours."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway.fleet.keys import Keys
from gateway.fleet.script import read_script
from tests.support.redis_server import RedisServer, redis_server

START = 1_700_000_000_000_000
SECOND = 1_000_000
GATEWAYS = st.sampled_from(["a", "b", "c"])
NAMES = st.sampled_from(["x", "y"])
LEASES = st.integers(20_000_000, 60_000_000)
"""Longer than an example takes: the server lets keys expire by its own clock, too."""
PASSING = st.one_of(st.integers(0, 5_000_000), st.integers(0, 60_000_000))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator["redis.Redis"]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running, closing(connect(running)) as client:
        client.ping()
        yield client


def connect(server: RedisServer) -> "redis.Redis":
    return redis.Redis(host="localhost", port=server.port, protocol=2)


class Machine(RuleBasedStateMachine):
    """A store of one's own, and its clock."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__()
        self.client = client
        client.flushall()
        self.keys = Keys(uuid.uuid4().hex)
        self.script = client.register_script(read_script().source)
        self.now = START
        self.life = ""

    def call(self, verb: str, keys: list[str], *words: Any) -> Any:
        """One call, as a gateway makes it."""
        names = [self.keys("life"), *(self.keys(key) for key in keys)]
        return self.script(keys=names, args=[verb, self.now, self.life, *words])

    @initialize()
    def begin(self) -> None:
        self.life = self.call("begin", [], "life")[0].decode()

    @rule(passing=PASSING)
    def time_passes(self, passing: int) -> None:
        self.now += passing


class Turns(Machine):
    """The generic cell rate algorithm, as one process would do it."""

    interval = 1_020_000
    burst = 1

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__(client)
        self.due: int | None = None
        self.granted: list[int] = []
        self.paused = 0

    @rule()
    def reserve(self) -> None:
        """A turn lies where the model says, after every pause that began before it."""
        saved = (self.burst - 1) * self.interval
        wait = int(self.call("reserve", ["turns"], self.interval, saved))
        due = self.now + self.interval if self.due is None else max(self.due, self.now - saved)
        self.due = due + self.interval
        turn = max(due, self.now)
        assert self.now + wait == turn
        assert turn >= self.paused
        self.granted.append(turn)

    @rule(seconds=st.floats(0.01, 400))
    def pause(self, seconds: float) -> None:
        """Nothing is due before a pause is over."""
        self.call("pause", ["turns"], round(seconds * SECOND), self.keys.channel, "a")
        self.paused = max(self.paused, self.now + min(round(seconds * SECOND), 300 * SECOND))
        self.due = max(self.due if self.due is not None else self.now, self.paused)

    @invariant()
    def no_window_has_too_many(self) -> None:
        """Any window of T has at most burst + T / interval turns."""
        for first, last in zip(self.granted, self.granted[self.burst :], strict=False):
            assert last - first >= self.interval


class Bursts(Turns):
    """The same with turns that can be saved up."""

    burst = 4

    @invariant()
    def no_window_has_too_many(self) -> None:
        """Any window of T has at most burst + T / interval turns."""
        for start, first in enumerate(self.granted):
            for count, last in enumerate(self.granted[start:], 1):
                assert count <= self.burst + (last - first) / self.interval


class BackAndForth(Machine):
    """A clock that is set as somebody likes."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__(client)
        self.reserved = 0

    @rule(moved=st.integers(-(10**13), 10**13))
    def set_the_clock(self, moved: int) -> None:
        self.now = max(START - 10**14, self.now + moved)

    @rule()
    def reserve(self) -> None:
        """Nobody waits longer than for those before it and the longest pause."""
        self.reserved += 1
        wait = int(self.call("reserve", ["turns"], SECOND, 0))
        assert wait <= (self.reserved + 300) * SECOND

    @rule(seconds=st.integers(1, 1_000))
    def pause(self, seconds: int) -> None:
        self.call("pause", ["turns"], seconds * SECOND, self.keys.channel, "a")

    @rule(gateway=GATEWAYS)
    def hold(self, gateway: str) -> None:
        """A lock is somebody's."""
        assert self.call("hold", ["lock"], gateway, 6 * SECOND) in {b"a", b"b", b"c"}

    @rule()
    def a_lease_later(self) -> None:
        """Whatever happened before: who asks each second has the lock two seconds after a lease's time."""
        for _ in range(8):
            self.now += SECOND
            by = self.call("hold", ["lock"], "c", 6 * SECOND)
        assert by == b"c"


class Leases(Machine):
    """Locks, leads and claims."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__(client)
        self.locks: dict[str, tuple[str, int]] = {}
        self.leads: dict[str, tuple[str, int]] = {}
        self.answers: dict[str, tuple[bytes, int, int]] = {}
        self.done: dict[str, str] = {}
        self.won: dict[str, set[str]] = {}

    @rule(gateway=GATEWAYS, name=NAMES, lease=LEASES)
    def hold(self, gateway: str, name: str, lease: int) -> None:
        """A lock is its holder's until its time is over."""
        by, over = self.locks.get(name, ("", 0))
        if by in {"", gateway} or over <= self.now:
            by, over = gateway, self.now + lease
            self.locks[name] = by, over
        assert self.call("hold", [f"lock:{name}"], gateway, lease) == by.encode()

    @rule(gateway=GATEWAYS, name=NAMES)
    def drop(self, gateway: str, name: str) -> None:
        self.call("drop", [f"lock:{name}"], gateway)
        if self.locks.get(name, ("", 0))[0] == gateway:
            del self.locks[name]

    @rule(gateway=GATEWAYS, name=NAMES, lease=LEASES)
    def look(self, gateway: str, name: str, lease: int) -> None:
        """A fresh answer with its age, or one that leads."""
        told = self.call("look", [f"read:{name}", f"lead:{name}", "forgot"], gateway, lease)
        answer, sent, over = self.answers.get(name, (b"", 0, 0))
        if self.now < over:
            assert told == [answer, b"%d" % (self.now - sent), 0]
            return
        by, lead_over = self.leads.get(name, ("", 0))
        leads = by in {"", gateway} or lead_over <= self.now
        if leads:
            self.leads[name] = gateway, self.now + lease
        assert told == [None, b"0", int(leads)]

    @rule(gateway=GATEWAYS, name=NAMES, age=st.integers(0, 2_000_000), lasts=st.one_of(st.just(0), LEASES))
    def publish(self, gateway: str, name: str, age: int, lasts: int) -> None:
        answer = b"%d" % (self.now - age)
        keys = [f"read:{name}", f"lead:{name}"]
        self.call("publish", keys, self.keys.channel, gateway, age, lasts, name, answer)
        sent = self.now - age
        # One that is over is either kept still or gone, as the server pleases: it has no say in either case.
        known = self.answers.get(name)
        if lasts and (known is None or sent >= known[1]):
            self.answers[name] = answer, sent, self.now + lasts
        if self.leads.get(name, ("", 0))[0] == gateway:
            del self.leads[name]

    @rule()
    def forget(self) -> None:
        """What was sent before is not given, who led does not lead."""
        self.call("forget", ["forgot"], self.keys.channel, "a")
        self.now += 3 * SECOND
        self.answers.clear()
        self.leads.clear()

    @rule(gateway=GATEWAYS, name=NAMES)
    def claim(self, gateway: str, name: str) -> None:
        """The first wins for good."""
        winner = self.done.setdefault(name, gateway)
        assert self.call("claim", [f"done:{name}"], gateway) == int(winner == gateway)
        if winner == gateway:
            self.won.setdefault(gateway, set()).add(name)

    @rule(order=st.permutations(["a", "b", "c"]))
    def data_are_lost(self, order: list[str]) -> None:
        """Nothing is done on data of a new life before all have put back what they won."""
        self.client.flushall()
        with pytest.raises(redis.ResponseError, match="ADTLIFE"):
            self.call("claim", ["done:x"], "a")
        self.life = self.call("begin", [], "life")[0].decode()
        for gateway in order:
            names = [f"done:{name}" for name in sorted(self.won.get(gateway, ()))]
            assert self.call("claim", names, gateway) == len(names)
        self.locks.clear()
        self.leads.clear()
        self.answers.clear()
        self.now += 1


@pytest.mark.parametrize("machine", [Turns, Bursts, BackAndForth, Leases], ids=lambda one: one.__name__)
def test_model(machine: type[Machine], client: "redis.Redis") -> None:
    """Whatever gateways do in whatever order, the store does as the model says."""

    def fresh() -> Machine:
        return machine(client)

    limits = settings(max_examples=40, stateful_step_count=30)
    run_state_machine_as_test(fresh, settings=limits)  # type: ignore[arg-type] # a function is as good
