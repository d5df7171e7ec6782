"""How the kernel schedules threads beside the event loop's."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Change = Callable[[int, int, os.sched_param], None]
"""`os.sched_setscheduler`."""


@contextmanager
def unhurried(change: Change | None = None) -> Iterator[None]:
    """Threads that begin in here do not interrupt the one that wakes them (SCHED_BATCH, sched(7)).

    They run on a core that is idle, as ever; where there is none they wait for the running thread to sleep,
    or for the end of its time slice. An engine's thread, which each request and each response wakes, would
    else take the core from the event loop in the middle of its work: on one core a request costs a tenth more
    CPU. Does nothing where the system knows or permits no such thing, or the process has another policy.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    change = change or os.sched_setscheduler
    try:
        change(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        change(0, os.SCHED_OTHER, os.sched_param(0))
