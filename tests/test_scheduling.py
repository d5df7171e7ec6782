"""How the kernel schedules threads beside the event loop's."""

import os
import subprocess
import sys
import threading

import pytest

from gateway.scheduling import unhurried

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SCHED_BATCH is Linux's")


ENGINE = """
import os
from pathlib import Path
from gateway.config import Upstream
from gateway.upstream.pyreqwest_client import build_client
client = build_client(Upstream(base_url="http://127.0.0.1:9"), user_agent="test")
for task in Path("/proc/self/task").iterdir():
    print((task / "comm").read_text().strip(), os.sched_getscheduler(int(task.name)))
"""


def policy_of_a_new_thread() -> int:
    """The scheduling policy that a thread inherits that begins now."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(os.sched_getscheduler(0)))
    thread.start()
    thread.join()
    return seen[0]


def test_threads_begun_inside_do_not_interrupt_others() -> None:
    """A thread that begins inside is one of SCHED_BATCH; one that begins after is as ever."""
    with unhurried():
        assert policy_of_a_new_thread() == os.SCHED_BATCH
    assert policy_of_a_new_thread() == os.SCHED_OTHER


def test_the_thread_that_begins_them_is_as_before() -> None:
    """What began the threads is scheduled as before, also where that failed."""
    with pytest.raises(RuntimeError), unhurried():
        raise RuntimeError
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_policy_that_somebody_chose_stays() -> None:
    """A process that was started with a policy of its own keeps it, within and after."""
    seen: list[int] = []

    def run() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with unhurried():
            seen.append(policy_of_a_new_thread())
        seen.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [os.SCHED_IDLE, os.SCHED_IDLE]


def test_a_system_that_refuses_is_no_failure() -> None:
    """Where the kernel permits no change of policy threads begin as ever."""
    unhurried_by_others = unhurried(change=_refused)
    with unhurried_by_others:
        assert policy_of_a_new_thread() == os.SCHED_OTHER


def test_the_engine_s_thread_does_not_interrupt_the_event_loop() -> None:
    """Of a process with the default engine only the engine's thread is one of SCHED_BATCH."""
    # A process of its own: the thread begins with a process's first client.
    command = [sys.executable, "-c", ENGINE]
    told = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own arguments
    threads = dict(line.rsplit(maxsplit=1) for line in told.stdout.splitlines())
    assert threads.pop("pyreqwest") == str(os.SCHED_BATCH)
    assert set(threads.values()) == {str(os.SCHED_OTHER)}


def _refused(pid: int, policy: int, param: os.sched_param) -> None:
    raise PermissionError(1, "Operation not permitted")
